package org.dit4j.checkpoint;

import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How the folders of checkpoints and their files are called. */
final class CheckpointNames {
    static final String MODEL = "model.safetensors", EMA = "ema.safetensors", OPTIMIZER = "optimizer.safetensors";
    /** Plain values. */
    static final String STATE = "state.json";
    /** What every checkpoint has, beside the optimiser's moments, which may be one file or the slices of several processes. */
    static final List<String> REQUIRED = List.of(MODEL, EMA, STATE);
    /** Names the newest checkpoint, for people and scripts; nothing here depends on it. */
    static final String LATEST = "LATEST";

    private static final Pattern NAME = Pattern.compile("step-(\\d{7,18})");

    private CheckpointNames() {}

    /** Whether these files are all that a checkpoint needs. */
    static boolean areComplete(Collection<String> files) {
        return files.containsAll(REQUIRED)
                && files.stream().anyMatch(name -> name.matches("optimizer[\\w-]*\\.safetensors"));
    }

    /** The name of a step's checkpoint. */
    static String name(long step) {
        return String.format(Locale.ROOT, "step-%07d", step); // other locales have other digits
    }

    /** The step of a checkpoint by its name, −1 if it is none. */
    static long step(Path path) {
        Matcher matcher = NAME.matcher(String.valueOf(path.getFileName()));
        return matcher.matches() ? Long.parseLong(matcher.group(1)) : -1;
    }
}
