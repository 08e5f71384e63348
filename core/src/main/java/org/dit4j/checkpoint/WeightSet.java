package org.dit4j.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.dit4j.io.FormatException;

/**
 * One DiT's weights in a file, wherever they stand: in the whole, under {@code model}, {@code state_dict.net}, and so on. Found by the
 * published names, which end the places of the tensors, with or without their dots; or by their order, in a list beside such.
 *
 * @param place of the set, without what {@code torch.compile} and the like put between; empty if it is the whole file
 * @param averaged whether its place says that they are averaged
 * @param names published name → the tensor's place in the file
 * @param ignored places beside the weights, of tensors that the published network has not
 */
record WeightSet(String place, boolean averaged, Map<String, String> names, List<String> ignored) {
    private static final String ANCHOR = "x_embedder.proj.weight";
    /** The beginnings of the published names; what else stands beside them belongs to something that was trained with it. */
    private static final Set<String> PARTS =
            Set.of("pos_embed", "x_embedder", "t_embedder", "y_embedder", "blocks", "final_layer");
    /** What wrappers put into names: torch.compile, FSDP, checkpointing, and a module that was pickled as a whole. */
    private static final Set<String> WRAPPERS = Set.of(
            "_orig_mod",
            "_fsdp_wrapped_module",
            "_checkpoint_wrapped_module",
            "_forward_module",
            "_modules",
            "_parameters",
            "_buffers");
    /** Of several sets these are meant, as published. */
    private static final List<String> PREFERRED = List.of("ema", "model", "state_dict");

    private static final String SHADOWS = "shadow_params";
    private static final String DOTLESS_ANCHOR = DotlessNames.of(ANCHOR);

    private static final int SHOWN = 12, MAX_SETS = 1000;

    /** All sets of a file, in its order. */
    static List<WeightSet> all(Path file, TensorFile tensors) throws FormatException {
        Map<String, String> plain = new LinkedHashMap<>(); // place in the file → without wrappers
        tensors.entries().keySet().forEach(place -> plain.put(place, plain(place)));
        Map<String, Map<String, String>> names = new LinkedHashMap<>();
        for (String place : plain.values())
            if (place.equals(ANCHOR) || place.endsWith("." + ANCHOR))
                names.put(place.substring(0, place.length() - ANCHOR.length()), new LinkedHashMap<>());
        Map<String, List<String>> ignored = new LinkedHashMap<>();
        Map<String, Map<String, String>> dotless = dotless(plain, ignored);
        if (names.size() + dotless.size() > MAX_SETS)
            throw new FormatException(
                    file, "has " + (names.size() + dotless.size()) + " sets of weights of a DiT; at most " + MAX_SETS);
        for (Map.Entry<String, String> tensor : plain.entrySet()) {
            String set = owner(tensor.getValue(), names.keySet());
            if (set == null) continue;
            String name = tensor.getValue().substring(set.length());
            if (!PARTS.contains(name.replaceFirst("\\..*", "")))
                ignored.computeIfAbsent(set, s -> new ArrayList<>()).add(tensor.getKey());
            else {
                String before = names.get(set).put(name, tensor.getKey());
                if (before != null || tensors.isTwice(tensor.getKey()))
                    throw new FormatException(
                            file,
                            (before == null ? tensor.getKey() : before) + " and " + tensor.getKey()
                                    + " stand for the same weight");
            }
        }
        List<WeightSet> sets = new ArrayList<>();
        names.forEach((prefix, found) -> sets.add(new WeightSet(
                prefix.replaceFirst("\\.$", ""),
                isAveraged(prefix, plain.values()),
                found,
                ignored.getOrDefault(prefix, List.of()))));
        dotless.forEach((prefix, found) -> sets.add(
                new WeightSet(prefix.replaceFirst("\\.$", ""), true, found, ignored.getOrDefault(prefix, List.of()))));
        sets.addAll(listed(tensors.shapes(), List.copyOf(sets)));
        return sets;
    }

    /**
     * The averages that {@code LitEma} of latent-diffusion and its heirs keeps as buffers, whose names have no dots: {@code
     * model_ema.diffusion_modelblocks0attnqkvweight}. Takes them out of the places.
     */
    private static Map<String, Map<String, String>> dotless(
            Map<String, String> plain, Map<String, List<String>> ignored) {
        Map<String, Map<String, String>> sets = new LinkedHashMap<>();
        for (String place : plain.values())
            if (place.endsWith(DOTLESS_ANCHOR))
                sets.put(place.substring(0, place.length() - DOTLESS_ANCHOR.length()), new LinkedHashMap<>());
        if (sets.isEmpty() || sets.size() > MAX_SETS) return sets;
        for (String place : List.copyOf(plain.keySet())) {
            String prefix = owner(plain.get(place), sets.keySet());
            if (prefix == null) continue;
            String dotless = plain.get(place).substring(prefix.length());
            if (dotless.contains(".")) continue; // another set, further in
            plain.remove(place);
            if (PARTS.stream().anyMatch(dotless::startsWith))
                sets.get(prefix).put(DotlessNames.published(dotless).orElse(dotless), place);
            else if (!DotlessNames.COUNTERS.contains(dotless))
                ignored.computeIfAbsent(prefix, set -> new ArrayList<>()).add(place);
        }
        return sets;
    }

    /**
     * The averages that {@code EMAModel} of diffusers and {@code torch_ema} keep as a list without names, in the order of the weights in
     * training beside them; the second, without those that are not trained.
     */
    private static List<WeightSet> listed(Map<String, List<Long>> shapes, List<WeightSet> named) {
        List<WeightSet> sets = new ArrayList<>();
        for (String place : shapes.keySet()) {
            if (!place.equals(SHADOWS + ".0") && !place.endsWith("." + SHADOWS + ".0")) continue;
            String list = place.substring(0, place.length() - ".0".length());
            int count = 0;
            while (shapes.containsKey(list + "." + count)) count++;
            for (WeightSet set : named) {
                List<String> names = new ArrayList<>(set.names.keySet());
                if (names.size() == count + 1) names.remove("pos_embed");
                Map<String, String> found = new LinkedHashMap<>();
                for (int i = 0; i < count && names.size() == count; i++)
                    if (shapes.get(list + "." + i).equals(shapes.get(set.names.get(names.get(i)))))
                        found.put(names.get(i), list + "." + i);
                if (found.size() != count || set.averaged) continue;
                sets.add(new WeightSet(list, true, found, List.of()));
                break;
            }
        }
        return sets;
    }

    private static String plain(String place) {
        return Arrays.stream(place.split("\\.", -1))
                .filter(part -> !WRAPPERS.contains(part))
                .collect(Collectors.joining("."));
    }

    /** The innermost set that a tensor is in; null if it is in none. */
    private static String owner(String place, Set<String> prefixes) {
        String found = null;
        for (String prefix : prefixes)
            if (place.startsWith(prefix) && (found == null || prefix.length() > found.length())) found = prefix;
        return found;
    }

    private static boolean isAveraged(String prefix, Iterable<String> places) {
        boolean averaged = false;
        for (String part : prefix.split("[._-]")) {
            if (part.equalsIgnoreCase("online")) return false; // ema-pytorch keeps the weights in training too
            averaged |= part.toLowerCase(Locale.ROOT).matches("(ema|swa|averaged?|avg|shadow|polyak)\\d*");
        }
        if (averaged || !prefix.endsWith("module.")) return averaged;
        // torch.optim.swa_utils.AveragedModel
        String count = prefix.substring(0, prefix.length() - "module.".length()) + "n_averaged";
        for (String place : places) if (place.equals(count)) return true;
        return false;
    }

    /**
     * The set that is meant.
     *
     * @param wanted averaged weights or those in training, where a file has both
     * @param place the place of one, for a file with several of a kind
     * @return empty if there is no DiT in the file
     * @throws FormatException if there are several and nothing says which, with their places
     */
    static Optional<WeightSet> choose(Path file, List<WeightSet> sets, Weights wanted, Optional<String> place)
            throws FormatException {
        if (place.isPresent()) {
            String given = place.get().replaceFirst("\\.$", "");
            for (WeightSet set : sets) if (set.place().equals(given)) return Optional.of(set);
            if (sets.isEmpty()) return Optional.empty();
            throw new FormatException(file, "has no weights of a DiT at \"" + place.get() + "\", but " + list(sets));
        }
        List<WeightSet> kind = sets.stream()
                .filter(set -> set.averaged() == (wanted == Weights.EMA))
                .toList();
        if (kind.isEmpty()) kind = sets;
        if (kind.size() <= 1) return kind.stream().findFirst();
        for (String preferred : PREFERRED)
            for (WeightSet set : kind) if (set.place().equals(preferred)) return Optional.of(set);
        throw new FormatException(
                file,
                "has several sets of weights of a DiT and does not say which is meant: " + list(sets)
                        + "; choose one (--weights-at PLACE)");
    }

    /** The places of sets, for people. */
    static String list(List<WeightSet> sets) {
        return sets.stream().limit(SHOWN).map(WeightSet::text).collect(Collectors.joining(", "))
                + (sets.size() > SHOWN ? ", … (" + sets.size() + ")" : "");
    }

    /** Its place, for people. */
    String text() {
        return (place.isEmpty() ? "the whole file" : place) + (averaged ? " (averaged)" : "");
    }

    /** Where weights came from, for a description; nothing where there is nothing to say. */
    String origin() {
        if (!averaged) return "";
        return place.equals("ema") || place.isEmpty() ? "EMA" : "EMA, at " + place;
    }

    /** What a person should know of this choice, in lines. */
    List<String> notes(List<WeightSet> sets) {
        List<String> notes = new ArrayList<>();
        if (sets.size() > 1)
            notes.add("has the weights of a DiT at " + list(sets) + "; those at " + text()
                    + " are taken (--weights ema or model, or --weights-at PLACE chooses)");
        if (!ignored.isEmpty())
            notes.add(ignored.size() + " tensors beside the weights belong to no DiT and are ignored: "
                    + ignored.stream().limit(SHOWN).collect(Collectors.joining(", "))
                    + (ignored.size() > SHOWN ? ", …" : ""));
        return notes;
    }
}
