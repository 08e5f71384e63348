package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VaeKeyNamesTest {
    @ParameterizedTest
    @CsvSource({
        "encoder.down.2.block.1.norm1.weight, encoder.down_blocks.2.resnets.1.norm1.weight",
        "encoder.down.1.block.0.nin_shortcut.bias, encoder.down_blocks.1.resnets.0.conv_shortcut.bias",
        "encoder.down.0.downsample.conv.weight, encoder.down_blocks.0.downsamplers.0.conv.weight",
        "encoder.mid.block_1.conv1.weight, encoder.mid_block.resnets.0.conv1.weight",
        "decoder.mid.block_2.norm2.bias, decoder.mid_block.resnets.1.norm2.bias",
        "decoder.mid.attn_1.norm.weight, decoder.mid_block.attentions.0.group_norm.weight",
        "decoder.mid.attn_1.q.weight, decoder.mid_block.attentions.0.to_q.weight",
        "decoder.mid.attn_1.k.bias, decoder.mid_block.attentions.0.to_k.bias",
        "decoder.mid.attn_1.v.bias, decoder.mid_block.attentions.0.to_v.bias",
        "decoder.mid.attn_1.proj_out.weight, decoder.mid_block.attentions.0.to_out.0.weight",
        "decoder.up.3.block.2.conv2.weight, decoder.up_blocks.0.resnets.2.conv2.weight",
        "decoder.up.0.block.0.nin_shortcut.weight, decoder.up_blocks.3.resnets.0.conv_shortcut.weight",
        "decoder.up.1.upsample.conv.bias, decoder.up_blocks.2.upsamplers.0.conv.bias",
        "encoder.norm_out.weight, encoder.conv_norm_out.weight",
        "decoder.conv_out.bias, decoder.conv_out.bias",
        "post_quant_conv.weight, post_quant_conv.weight"
    })
    void namesOfLatentDiffusionBecomeCurrent(String ldm, String current) {
        List<String> four = List.of(ldm, "decoder.up.3.block.0.conv1.weight"); // tells that there are four resolutions
        assertEquals(current, VaeKeyNames.current(four).get(ldm));
        List<String> nested =
                List.of("first_stage_model." + ldm, "first_stage_model.decoder.up.3.block.0.conv1.weight");
        assertEquals(current, VaeKeyNames.current(nested).get("first_stage_model." + ldm));
    }

    @ParameterizedTest
    @CsvSource({
        "encoder.mid_block.attentions.0.query.weight, encoder.mid_block.attentions.0.to_q.weight",
        "encoder.mid_block.attentions.0.key.bias, encoder.mid_block.attentions.0.to_k.bias",
        "decoder.mid_block.attentions.0.value.weight, decoder.mid_block.attentions.0.to_v.weight",
        "decoder.mid_block.attentions.0.proj_attn.bias, decoder.mid_block.attentions.0.to_out.0.bias",
        "decoder.mid_block.attentions.0.group_norm.bias, decoder.mid_block.attentions.0.group_norm.bias",
        "decoder.mid_block.attentions.0.to_q.weight, decoder.mid_block.attentions.0.to_q.weight",
        "decoder.up_blocks.0.resnets.2.norm1.weight, decoder.up_blocks.0.resnets.2.norm1.weight"
    })
    void deprecatedNamesBecomeCurrentAndCurrentOnesStay(String inFile, String current) {
        assertEquals(Map.of(inFile, current), VaeKeyNames.current(List.of(inFile)));
    }

    @Test
    void whatIsNoAutoencoderIsLeftOut() {
        List<String> names = List.of(
                "first_stage_model.encoder.conv_in.weight",
                "first_stage_model.loss.logvar",
                "model.diffusion_model.out.2.bias",
                "encoder.conv_in.weight");
        assertEquals(
                Map.of("first_stage_model.encoder.conv_in.weight", "encoder.conv_in.weight"),
                VaeKeyNames.current(names));
    }

    @ParameterizedTest
    @CsvSource({
        "0.weight, false, encoder.layers.0.weight",
        "13.conv.4.bias, false, encoder.layers.13.conv.4.bias",
        "1.weight, true, decoder.layers.0.weight",
        "19.bias, true, decoder.layers.18.bias",
        "elsewhere, true, elsewhere"
    })
    void taesdsNumbersBecomeNames(String inFile, boolean decoder, String current) {
        assertEquals(current, VaeKeyNames.currentTiny(inFile, decoder));
    }
}
