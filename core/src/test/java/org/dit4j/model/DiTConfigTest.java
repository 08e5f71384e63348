package org.dit4j.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.TreeMap;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class DiTConfigTest {
    private static final DiTConfig TINY =
            new DiTConfig(8, 12, 2, 3, 24, 2, 3, 2.5, 5, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    /** Table 4 of the paper; it prints two digits, and counts one operation per element of a LayerNorm or none, within 0.1. */
    @ParameterizedTest
    @CsvSource({
        "DiT-S/8, 33, 0.36", "DiT-S/4, 33, 1.41", "DiT-S/2, 33, 6.06",
        "DiT-B/8, 131, 1.42", "DiT-B/4, 130, 5.56", "DiT-B/2, 130, 23.01",
        "DiT-L/8, 459, 5.01", "DiT-L/4, 458, 19.70", "DiT-L/2, 458, 80.71",
        "DiT-XL/8, 676, 7.39", "DiT-XL/4, 675, 29.05", "DiT-XL/2, 675, 118.64"
    })
    void sizesAndGflopsAreThoseOfThePaper(String name, long millions, double gflops) {
        // the paper cuts or rounds its millions (B/2 has 130.51, printed 130; S/2 32.96, printed 33)
        assertEquals(millions, DiTConfig.of(name).parameters() / 1e6, 0.7);
        assertEquals(gflops, DiTConfig.of(name).gflops(), 0.02);
    }

    @ParameterizedTest
    @CsvSource({
        "IN_CONTEXT, 449, 119.37",
        "CROSS_ATTENTION, 598, 137.62",
        "ADALN, 600, 118.56",
        "ADALN_ZERO, 675, 118.64"
    })
    void theFourDesignsHaveTheSizesAndGflopsOfThePaper(DiTBlock.Kind kind, long millions, double gflops) {
        DiTConfig config = DiTConfig.of("DiT-XL/2").withBlock(kind);
        assertEquals(millions, config.parameters() / 1e6, 0.8);
        assertEquals(gflops, config.gflops(), 0.1);
    }

    @Test
    void gflopsOf512PixelsAreThoseOfThePaper() {
        assertEquals(524.60, DiTConfig.of("DiT-XL/2").withInputSize(64, 64).gflops(), 0.02);
    }

    /** Names of a layer with parameters are the network's, and so are their numbers. */
    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void eachLayerIsCountedUnderItsName(DiTBlock.Kind kind) {
        DiTConfig config = TINY.withBlock(kind);
        Map<String, Long> counted = new TreeMap<>(), there = new TreeMap<>();
        for (LayerCost layer : config.layers())
            if (layer.parameters() > 0) counted.merge(layer.name(), layer.count() * layer.parameters(), Long::sum);
        try (DiT network = config.network();
                TensorScope scope = new TensorScope()) {
            StateDict.of(network)
                    .forEach((name, tensor) -> there.merge(
                            name.replaceFirst("\\.(weight|bias)$", "").replaceFirst("^blocks\\.\\d+", "blocks.N"),
                            tensor.numel(),
                            Long::sum));
        }
        assertEquals(there, counted);
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void parametersAreCountedAsTheNetworkHasThem(DiTBlock.Kind kind) {
        for (DiTConfig config : new DiTConfig[] {
            TINY.withBlock(kind),
            TINY.withBlock(kind).withClasses(0, 0),
            TINY.withBlock(kind).withClasses(5, 0),
            TINY.withBlock(kind).withLearnSigma(false)
        })
            try (DiT network = config.network();
                    TensorScope scope = new TensorScope()) {
                long counted = StateDict.of(network).values().stream()
                        .mapToLong(tensor -> tensor.numel())
                        .sum();
                assertEquals(counted, config.parameters(), config.toString());
            }
    }

    @Test
    void theNullLabelIsTheNumberOfClasses() {
        assertEquals(5, TINY.nullLabel());
        assertEquals(6, TINY.labelRows());
        assertFalse(TINY.withClasses(5, 0).hasNullLabel());
        assertEquals(5, TINY.withClasses(5, 0).labelRows());
        assertThrows(IllegalStateException.class, () -> TINY.withClasses(5, 0).nullLabel());
        assertThrows(IllegalStateException.class, () -> TINY.withClasses(0, 0.1).nullLabel());
    }

    @ParameterizedTest
    @CsvSource({"DiT-H/2", "DiT-XL/3", "XL/2", "''", "DiT-XL", "/2"})
    void anUnknownModelIsRefusedWithTheKnownOnes(String name) {
        String message = assertThrows(IllegalArgumentException.class, () -> DiTConfig.of(name))
                .getMessage();
        assertTrue(message.startsWith("unknown model \"" + name + "\"") && message.contains("DiT-XL"), message);
    }

    @Test
    void impossibleConfigurationsAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> TINY.withInputSize(9, 12));
        assertThrows(IllegalArgumentException.class, () -> TINY.withInputSize(0, 12));
        assertThrows(IllegalArgumentException.class, () -> TINY.withTrunk(24, 2, 5));
        assertThrows(IllegalArgumentException.class, () -> TINY.withTrunk(18, 2, 3));
        assertThrows(IllegalArgumentException.class, () -> TINY.withClasses(-1, 0));
        assertThrows(IllegalArgumentException.class, () -> TINY.withClasses(3, 1));
    }
}
