package org.dit4j.checkpoint;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The names that autoencoders' weights go by in files → diffusers' current names, which the networks here have. */
public final class VaeKeyNames {
    private static final String LDM_PREFIX = "first_stage_model.";
    private static final Pattern OURS = Pattern.compile("(encoder|decoder|quant_conv|post_quant_conv)\\..*");
    private static final Pattern LDM = Pattern.compile("(encoder|decoder)\\.(mid|down|up)\\..*");
    private static final Pattern LDM_LEVEL =
            Pattern.compile("(encoder|decoder)\\.(down|up)\\.(\\d{1,3})\\.(block\\.|downsample\\.|upsample\\.)(.*)");
    private static final Pattern LDM_MID = Pattern.compile("(encoder|decoder)\\.mid\\.(block_1|block_2|attn_1)\\.(.*)");

    private static final Map<String, String> DEPRECATED_ATTENTION =
            Map.of("query", "to_q", "key", "to_k", "value", "to_v", "proj_attn", "to_out.0");
    private static final Map<String, String> LDM_ATTENTION =
            Map.of("norm", "group_norm", "q", "to_q", "k", "to_k", "v", "to_v", "proj_out", "to_out.0");

    private VaeKeyNames() {}

    /**
     * Name in the file → current name, for the names of an {@code AutoencoderKL}: current, deprecated ({@code query}, {@code key},
     * {@code value}, {@code proj_attn}), or those of the original latent-diffusion code, there perhaps among a whole Stable Diffusion
     * under {@code first_stage_model.}. What belongs to no autoencoder (the losses of its training, the rest of a Stable Diffusion) is
     * left out. In the latent-diffusion form the weights of the attention are 1×1 convolutions, (C, C, 1, 1) in place of (C, C).
     */
    public static Map<String, String> current(Collection<String> names) {
        boolean nested = names.stream().anyMatch(name -> name.startsWith(LDM_PREFIX));
        Map<String, String> inner = new LinkedHashMap<>(); // without the prefix → in the file
        for (String name : names) {
            if (nested && !name.startsWith(LDM_PREFIX)) continue;
            String rest = nested ? name.substring(LDM_PREFIX.length()) : name;
            if (OURS.matcher(rest).matches()) inner.put(rest, name);
        }
        int levels = numLevels(inner.keySet());
        Map<String, String> current = new LinkedHashMap<>();
        inner.forEach((name, inFile) -> current.put(inFile, levels > 0 ? fromLdm(name, levels) : fromDeprecated(name)));
        return current;
    }

    /** Resolutions of an autoencoder with latent-diffusion names; 0 if these are other names. */
    private static int numLevels(Collection<String> names) {
        int levels = 0;
        for (String name : names) {
            Matcher level = LDM_LEVEL.matcher(name);
            if (level.matches()) levels = Math.max(levels, Integer.parseInt(level.group(3)) + 1);
            else if (LDM.matcher(name).matches()) levels = Math.max(levels, 1);
        }
        return levels;
    }

    private static String fromLdm(String name, int levels) {
        Matcher level = LDM_LEVEL.matcher(name);
        if (level.matches()) {
            boolean down = level.group(2).equals("down");
            int number = Integer.parseInt(level.group(3));
            // latent-diffusion numbers the decoder's resolutions from the highest, diffusers in the order of use
            String block = level.group(1) + (down ? ".down_blocks." + number : ".up_blocks." + (levels - 1 - number));
            String layer = switch (level.group(4)) {
                case "downsample." -> ".downsamplers.0.";
                case "upsample." -> ".upsamplers.0.";
                default -> ".resnets.";
            };
            return block + layer + level.group(5).replace("nin_shortcut", "conv_shortcut");
        }
        Matcher mid = LDM_MID.matcher(name);
        if (mid.matches()) {
            String block = mid.group(1) + ".mid_block.";
            return switch (mid.group(2)) {
                case "block_1" -> block + "resnets.0." + mid.group(3);
                case "block_2" -> block + "resnets.1." + mid.group(3);
                default -> block + "attentions.0." + renamed(mid.group(3), LDM_ATTENTION);
            };
        }
        return name.replaceFirst("^(encoder|decoder)\\.norm_out\\.", "$1.conv_norm_out.");
    }

    private static String fromDeprecated(String name) {
        String attention = ".mid_block.attentions.0.";
        int at = name.indexOf(attention);
        if (at < 0) return name;
        int from = at + attention.length();
        return name.substring(0, from) + renamed(name.substring(from), DEPRECATED_ATTENTION);
    }

    /** {@code q.weight} → {@code to_q.weight}. */
    private static String renamed(String layer, Map<String, String> names) {
        int dot = layer.indexOf('.');
        if (dot < 0) return layer;
        String first = layer.substring(0, dot);
        return names.getOrDefault(first, first) + layer.substring(dot);
    }

    /**
     * Name in TAESD's own pair of files → name in diffusers' {@code AutoencoderTiny}; anything but {@code N.…} stays as it is.
     *
     * @param decoder whether it is the decoder's file, whose first layer, without weights, diffusers does not count
     */
    public static String currentTiny(String name, boolean decoder) {
        Matcher layer = Pattern.compile("(\\d{1,3})\\.(.*)").matcher(name);
        if (!layer.matches()) return name;
        int number = Integer.parseInt(layer.group(1));
        return decoder
                ? "decoder.layers." + (number - 1) + "." + layer.group(2)
                : "encoder.layers." + number + "." + layer.group(2);
    }
}
