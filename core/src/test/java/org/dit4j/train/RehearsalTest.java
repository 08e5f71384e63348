package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Optional;
import org.dit4j.data.Glyphs;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.junit.jupiter.api.Test;

class RehearsalTest {
    private static final TrainConfig CONFIG = new TrainConfig(
            new DiTConfig(8, 8, 2, 3, 24, 5, 3, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO),
            1,
            100,
            16,
            8,
            new LearningRate(1e-3, 0),
            0,
            0,
            new Ema.Schedule(0.999, 0),
            false,
            0,
            false,
            false,
            "cpu");

    private static Optional<Rehearsal> of(long freeBytes, double budgetSeconds) throws IOException {
        return Rehearsal.of(CONFIG, GaussianDiffusion.published(), new Glyphs(1, 8), freeBytes, budgetSeconds);
    }

    @Test
    void aQuickRunIsTimedWhole() throws IOException {
        Rehearsal whole = of(Long.MAX_VALUE, 15).orElseThrow();
        assertTrue(whole.wholeSteps() >= 3 && whole.secondsPerStep() > 0, whole.toString());
        assertEquals(5, whole.blocks());
        assertEquals(16, whole.images());
    }

    @Test
    void aRunThatIsTooSlowOrTooLargeIsExtrapolatedFromASmallerOne() throws IOException {
        Rehearsal slow = of(Long.MAX_VALUE, 0).orElseThrow();
        assertEquals(0, slow.wholeSteps());
        assertEquals(3, slow.blocks());
        assertTrue(slow.secondsPerStep() > 0 && slow.images() >= 2 && slow.images() <= 8, slow.toString());
        MemoryNeed need = MemoryNeed.of(CONFIG);
        Rehearsal large = of(need.onDevice() + need.copy(), 15).orElseThrow();
        assertEquals(0, large.wholeSteps(), "the run itself does not fit");
    }

    @Test
    void whatDoesNotFitWithThreeBlocksEitherIsNotBuilt() throws IOException {
        assertTrue(of(1000, 15).isEmpty());
    }
}
