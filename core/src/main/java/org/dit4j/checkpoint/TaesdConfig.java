package org.dit4j.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Map;
import java.util.Set;

/** The configuration of diffusers' {@code AutoencoderTiny}. TAESD is one network, so a configuration can only say what it is anyway. */
final class TaesdConfig {
    private static final String PUBLISHED = """
            {"act_fn": "relu", "upsample_fn": "nearest", "upsampling_scaling_factor": 2, "force_upcast": false,
             "in_channels": 3, "out_channels": 3, "latent_magnitude": 3, "latent_shift": 0.5,
             "scaling_factor": 1, "shift_factor": 0,
             "encoder_block_out_channels": [64, 64, 64, 64], "decoder_block_out_channels": [64, 64, 64, 64],
             "num_encoder_blocks": [1, 3, 3, 3], "num_decoder_blocks": [3, 3, 3, 1]}""";

    /** Told by the weights; and a repetition of the two lists above. */
    private static final Set<String> FREE = Set.of("latent_channels", "block_out_channels");

    private TaesdConfig() {}

    /** @throws IllegalArgumentException naming the first setting of another network */
    static void require(JsonNode json) {
        JsonNode published = published();
        for (Map.Entry<String, JsonNode> setting : json.properties()) {
            String name = setting.getKey();
            if (name.startsWith("_") || FREE.contains(name)) continue;
            JsonNode only = published.path(name);
            if (!only.equals(TaesdConfig::compare, setting.getValue()))
                throw new IllegalArgumentException(name + " is " + setting.getValue()
                        + (only.isMissingNode() ? ", a setting unknown here" : "; TAESD has " + only));
        }
    }

    /** 0 if equal: 1 and 1.0 are different nodes but one number. */
    private static int compare(JsonNode a, JsonNode b) {
        boolean numbers = a.isNumber() && b.isNumber();
        return (numbers ? a.doubleValue() == b.doubleValue() : a.equals(b)) ? 0 : 1;
    }

    private static JsonNode published() {
        try {
            return new ObjectMapper().readTree(PUBLISHED);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }
}
