package org.dit4j.checkpoint;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Published names without their dots, as {@code LitEma} of latent-diffusion writes them: a buffer's name may have none. */
final class DotlessNames {
    /** All parts of published names; where one begins as another does, the longer first. */
    private static final Pattern PART =
            Pattern.compile("pos_embed|[xty]_embedder|embedding_table|blocks|final_layer|norm_final"
                    + "|adaLN_modulation|cross_attn|attn|qkv|kv|q|proj|mlp|fc[12]|norm[123]|linear|[0-9]+|weight|bias");

    /** What {@code LitEma} counts beside the averages. */
    static final Set<String> COUNTERS = Set.of("decay", "num_updates");

    private DotlessNames() {}

    static String of(String published) {
        return published.replace(".", "");
    }

    /** {@code blocks.0.attn.qkv.weight} of {@code blocks0attnqkvweight}; empty for what is no published name. */
    static Optional<String> published(String dotless) {
        List<String> parts = new ArrayList<>();
        Matcher matcher = PART.matcher(dotless);
        int end = 0;
        while (end < dotless.length() && matcher.find() && matcher.start() == end) {
            parts.add(matcher.group());
            end = matcher.end();
        }
        return end == dotless.length() && end > 0 ? Optional.of(String.join(".", parts)) : Optional.empty();
    }
}
