package org.dit4j.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dit4j.diffusion.DiffusionConfig;

/** Reads what version 0.1.0 recorded of a run: records as Java prints them, and the data as one line with the path as it was typed. */
final class FirstVersion {
    /** Not written then. */
    static final String NUMBER = "1";

    private static final Pattern COMPONENT = Pattern.compile("(\\w+)=([^,\\]]+)");

    private FirstVersion() {}

    /** Puts what was learned into {@code values} under the names of today. */
    static void translate(Map<String, String> first, Map<String, String> values) {
        components("model.", first, "model", values);
        components("learningRate.", first, "learningRate", values);
        components("ema.", first, "ema", values);
        DiffusionConfig.ofText(given(first, "diffusion"))
                .toJson()
                .properties()
                .forEach(entry -> values.put(
                        "diffusion." + entry.getKey(), entry.getValue().asText()));
        for (String name : new String[] {"seed", "globalBatchSize", "weightDecay", "clipNorm", "flip"})
            values.put(name, given(first, name));
        values.put("precision", given(first, "bf16").equals("true") ? "autocast" : "fp32");
    }

    private static void components(String prefix, Map<String, String> first, String key, Map<String, String> into) {
        Matcher matcher = COMPONENT.matcher(given(first, key));
        while (matcher.find()) into.put(prefix + matcher.group(1), matcher.group(2));
    }

    /** What must have been written. */
    static String given(Map<String, String> first, String key) {
        String value = first.get(key);
        if (value == null) throw new IllegalArgumentException("it does not say the " + key + " of the run");
        return value;
    }

    /** Whether two lines say the same of the same place: {@code photos: 6 pictures, …} and {@code ./photos: 6 pictures, …}. */
    static boolean describesSameData(String first, String now) {
        if (first.equals(now)) return true;
        int place = first.indexOf(": "), other = now.indexOf(": ");
        if (place < 0 || other < 0 || !first.substring(place).equals(now.substring(other))) return false;
        try {
            return Files.isSameFile(Path.of(first.substring(0, place)), Path.of(now.substring(0, other)));
        } catch (IOException | InvalidPathException e) {
            return false; // one of them is not there any more
        }
    }
}
