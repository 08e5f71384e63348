package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Optional;
import org.dit4j.data.Glyphs;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;
import org.dit4j.train.EmaSchedule;
import org.dit4j.train.Execution;
import org.dit4j.train.LearningRate;
import org.dit4j.train.MemoryNeed;
import org.dit4j.train.TrainConfig;
import org.junit.jupiter.api.Test;

class RehearsalTest {
    private static final TrainConfig CONFIG = new TrainConfig(
            new DiTConfig(8, 8, 2, 3, 24, 5, 3, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO),
            DiffusionConfig.PUBLISHED,
            1,
            16,
            new LearningRate(1e-3, 0),
            0,
            0,
            new EmaSchedule(0.999, 0),
            false);

    private static final Execution EXECUTION = new Execution("cpu", Precision.FP32, 8, false, 0);

    private static Optional<Rehearsal> of(long freeBytes, double budgetSeconds) throws IOException {
        return Rehearsal.of(CONFIG, EXECUTION, new Glyphs(1, 8), freeBytes, budgetSeconds);
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
        MemoryNeed need = MemoryNeed.of(CONFIG, EXECUTION);
        Rehearsal large = of(need.onDevice() + need.copy(), 15).orElseThrow();
        assertEquals(0, large.wholeSteps(), "the run itself does not fit");
    }

    @Test
    void whatDoesNotFitWithThreeBlocksEitherIsNotBuilt() throws IOException {
        assertTrue(of(1000, 15).isEmpty());
    }
}
