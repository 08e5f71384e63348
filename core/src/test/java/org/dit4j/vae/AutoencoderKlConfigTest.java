package org.dit4j.vae;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AutoencoderKlConfigTest {
    /** As published with sd-vae-ft-mse, whose file is older than most of the settings. */
    private static final String PUBLISHED = """
            {"_class_name": "AutoencoderKL", "_diffusers_version": "0.4.2", "act_fn": "silu",
             "block_out_channels": [128, 256, 512, 512],
             "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
             "in_channels": 3, "latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32, "out_channels": 3,
             "sample_size": 256,
             "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]}""";

    private static ObjectNode published() {
        try {
            return (ObjectNode) new ObjectMapper().readTree(PUBLISHED);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void thePublishedFileIsStableDiffusions() {
        AutoencoderKlConfig config = AutoencoderKlConfig.of(published());
        assertEquals(AutoencoderKlConfig.STABLE_DIFFUSION, config);
        assertEquals(LatentScaling.STABLE_DIFFUSION, config.scaling());
        assertEquals(8, config.downsampling());
    }

    @Test
    void whatIsWrittenReadsAsTheSame() {
        AutoencoderKlConfig config = new AutoencoderKlConfig(
                1, 2, 16, List.of(8, 24), 3, 4, 64, false, false, true, new LatentScaling(0.3611, 0.1159));
        assertEquals(config, AutoencoderKlConfig.of(config.toJson()));
        assertEquals(
                AutoencoderKlConfig.STABLE_DIFFUSION,
                AutoencoderKlConfig.of(AutoencoderKlConfig.STABLE_DIFFUSION.toJson()));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "act_fn | \"gelu\" | act_fn",
                "_class_name | \"VQModel\" | _class_name",
                "down_block_types | [\"AttnDownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\"] | AttnDownEncoderBlock2D",
                "up_block_types | [\"UpDecoderBlock2D\"] | up_block_types has 1",
                "latents_mean | [0.1, 0.2, 0.3, 0.4] | latents_mean",
                "something_new | true | something_new",
                "norm_num_groups | 3 | multiples of norm_num_groups",
                "norm_num_groups | 0 | norm_num_groups",
                "layers_per_block | 1000000 | layers_per_block",
                "latent_channels | 2.5 | latent_channels",
                "in_channels | \"three\" | in_channels",
                "use_quant_conv | 1 | use_quant_conv",
                "scaling_factor | 0 | scale",
                "scaling_factor | \"a\" | scaling_factor",
            })
    void aSettingOfAnotherAutoencoderIsRefusedByName(String name, String value, String inMessage)
            throws JsonProcessingException {
        ObjectNode json = published();
        json.set(name, new ObjectMapper().readTree(value));
        String message = assertThrows(IllegalArgumentException.class, () -> AutoencoderKlConfig.of(json))
                .getMessage();
        assertTrue(message.contains(inMessage), message);
    }

    @Test
    void settingsThatAreNullOrMerelyInformAreHeldForNothing() {
        ObjectNode json = published();
        json.putNull("latents_mean").putNull("shift_factor").put("force_upcast", false);
        json.put("_name_or_path", "somewhere").putNull("something_new");
        assertEquals(AutoencoderKlConfig.STABLE_DIFFUSION, AutoencoderKlConfig.of(json));
    }

    @Test
    void withoutChannelsThereIsNoConfiguration() {
        ObjectNode json = published();
        json.remove(List.of("block_out_channels", "down_block_types", "up_block_types"));
        assertThrows(IllegalArgumentException.class, () -> AutoencoderKlConfig.of(json));
    }
}
