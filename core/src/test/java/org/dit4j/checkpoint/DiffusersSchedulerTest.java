package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.diffusion.Condition;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.diffusion.DiffusersProcess;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.sample.Solvers;
import org.dit4j.sample.StepNoise;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Whole ways through a diffusion, as diffusers' schedulers (0.40 development source, PyTorch 2.13, float32) took them: their configuration,
 * and where they ended, for the stand-in network and the noise below.
 */
class DiffusersSchedulerTest {
    /** Of the largest value; up to a thousand steps of float32. */
    private static final double TOLERANCE = 1e-5;

    @TempDir
    Path folder;

    @Test
    void everyWayEndsWhereDiffusersEndsIt() throws IOException {
        try (InputStream in = getClass().getResourceAsStream("/diffusers-schedulers.json")) {
            for (JsonNode plan : new ObjectMapper().readTree(in)) {
                JsonNode config = plan.get("config");
                double[] expected = new ObjectMapper().convertValue(plan.get("x"), double[].class);
                List<Integer> visited = new ArrayList<>();
                double[] x = solved(scheduler(config.toString()), plan, visited);
                double largest = 0, off = 0;
                for (int i = 0; i < x.length; i++) {
                    largest = Math.max(largest, Math.abs(expected[i]));
                    off = Math.max(off, Math.abs(expected[i] - x[i]));
                }
                assertTrue(off <= TOLERANCE * largest, config + ": off by " + off + " of " + largest);
                List<Integer> timesteps = new ArrayList<>();
                plan.get("timesteps").forEach(timestep -> timesteps.add(timestep.asInt()));
                if (!timesteps.isEmpty()) assertEquals(timesteps, visited, config.toString());
            }
        }
    }

    @Test
    void aWayFreesEverythingItMakes() throws IOException {
        DiffusersScheduler scheduler = scheduler("{\"_class_name\": \"DDPMScheduler\", \"thresholding\": true}");
        JsonNode plan = new ObjectMapper().readTree("{\"steps\": 3, \"eta\": 0}");
        solved(scheduler, plan, new ArrayList<>()); // the tables stay
        long before = Pointer.totalCount();
        solved(scheduler, plan, new ArrayList<>());
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void whatDiffusersMakesNoNumbersOfIsRefused() throws IOException {
        for (String variance : List.of("fixed_large_log", "learned")) {
            DiffusersScheduler scheduler =
                    scheduler("{\"_class_name\": \"DDPMScheduler\", \"variance_type\": \"" + variance + "\"}");
            String message = assertThrows(
                            IllegalArgumentException.class,
                            () -> DiffusersProcess.ddpm(scheduler.diffusion(true), scheduler.config(), 5))
                    .getMessage();
            assertTrue(message.contains("variance_type is " + variance), message);
        }
        DiffusersScheduler learned =
                scheduler("{\"_class_name\": \"DDPMScheduler\", \"variance_type\": \"learned_range\"}");
        assertThrows(
                IllegalArgumentException.class,
                () -> DiffusersProcess.ddpm(learned.diffusion(false), learned.config(), 5));
        DiffusersScheduler silent = scheduler("{\"_class_name\": \"DDIMScheduler\", \"rescale_betas_zero_snr\": true,"
                + " \"timestep_spacing\": \"trailing\"}");
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> DiffusersProcess.ddim(silent.diffusion(true), silent.config(), 5))
                .getMessage();
        assertTrue(message.contains("keeps no signal"), message);
    }

    @Test
    void trailingVisitsAsManyTimestepsAsAreAskedForWhereRoundingMakesDiffusersVisitOneMore() throws IOException {
        SchedulerConfig trailing = scheduler("{\"_class_name\": \"DDIMScheduler\", \"timestep_spacing\": \"trailing\"}")
                .config();
        for (int steps = 1; steps <= 1000; steps++) {
            int[] timesteps = trailing.timesteps(1000, steps);
            assertEquals(steps, timesteps.length);
            assertEquals(999, timesteps[steps - 1]);
            for (int i = 0; i < steps; i++) assertTrue(timesteps[i] > (i == 0 ? -1 : timesteps[i - 1]));
        }
    }

    private DiffusersScheduler scheduler(String json) throws IOException {
        DiffusersScheduler read = DiffusersScheduler.read(Files.writeString(folder.resolve("scheduler.json"), json));
        assertEquals("", read.config().unknown(), json);
        return read;
    }

    private static double[] solved(DiffusersScheduler scheduler, JsonNode plan, List<Integer> visited) {
        boolean learned = scheduler.config().variance() == SchedulerConfig.Variance.LEARNED_RANGE;
        int steps = plan.get("steps").asInt();
        DiffusersProcess process = scheduler.solver().equals(SchedulerConfig.DDIM)
                ? DiffusersProcess.ddim(scheduler.diffusion(learned), scheduler.config(), steps)
                : DiffusersProcess.ddpm(scheduler.diffusion(learned), scheduler.config(), steps);
        Denoiser standIn = (x, timestep, condition) -> {
            Tensor mean = x.mul(new Scalar(0.4)).add(new Scalar(Math.cos(0.01 * timestep)));
            return learned ? Tensors.cat(1, mean, x.sin()) : mean;
        };
        StepNoise noise = (step, x) -> numbers(1 + step);
        try (TensorScope scope = new TensorScope()) {
            Tensor x = Solvers.diffusers(
                    standIn,
                    process,
                    numbers(0),
                    Condition.unconditional(2),
                    plan.get("eta").asDouble(),
                    noise,
                    step -> {
                        visited.add((int) step.timestep());
                        return true;
                    });
            return Tensors.toDoubles(x);
        }
    }

    /** (2, 1, 2, 2): the start, and the noise of each step. */
    private static Tensor numbers(int place) {
        double[] numbers = new double[8];
        for (int i = 0; i < 8; i++) numbers[i] = 1.5 * Math.sin(1 + 8 * place + i);
        return Tensors.of(numbers, 2, 1, 2, 2).to(ScalarType.Float);
    }
}
