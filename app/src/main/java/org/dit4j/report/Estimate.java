package org.dit4j.report;

import static org.dit4j.doctor.Machine.bytes;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Device;
import org.dit4j.checkpoint.Retention;
import org.dit4j.data.Dataset;
import org.dit4j.doctor.Machine;
import org.dit4j.model.DiTConfig;
import org.dit4j.run.Cadence;
import org.dit4j.run.Rehearsal;
import org.dit4j.run.RunPlan;
import org.dit4j.torch.Backend;
import org.dit4j.torch.DeviceLoad;
import org.dit4j.torch.Precision;
import org.dit4j.train.Execution;
import org.dit4j.train.MemoryNeed;
import org.dit4j.train.TrainConfig;

/**
 * What a run will need, as {@code --dry-run} shows it; sizes in bytes.
 *
 * @param memoryNeeded on the device, beside Java and LibTorch; where the device is the processor, with the copy for checkpoints
 * @param memoryAvailable on the device
 * @param stateBytes weights, gradients, moments, average
 * @param activationBytes of one micro-batch, or of a grid of samples where that takes more
 * @param copyBytes the copy from which checkpoints are written, in the machine's memory
 * @param fits whether there is so much memory, and disk for what stays
 * @param advice what to do if it does not fit; empty if it does
 * @param secondsPerStep null if nothing could be measured
 * @param stepsLeft those after the checkpoint that the run goes on from, else all
 * @param totalSeconds of those, without grids, validation and saving; null if nothing could be measured
 * @param measured from what
 * @param checkpointBytes of one
 * @param checkpointsKept how many stay at the end
 * @param diskNeeded of those, and the one more that is there while it is written
 * @param diskFree where the results go
 */
public record Estimate(
        long memoryNeeded,
        long memoryAvailable,
        long stateBytes,
        long activationBytes,
        long copyBytes,
        boolean fits,
        String advice,
        Double secondsPerStep,
        long stepsLeft,
        Double totalSeconds,
        String measured,
        long checkpointBytes,
        long checkpointsKept,
        long diskNeeded,
        long diskFree) {
    private static final double BUDGET_SECONDS = 15;

    /**
     * From a few steps that are taken and forgotten.
     *
     * @param stepsDone that lie behind the run
     * @param results where its folder is to be
     */
    public static Estimate of(RunPlan plan, Dataset data, long stepsDone, Path results) throws IOException {
        TrainConfig config = plan.config();
        Cadence cadence = plan.cadence();
        Device device = Backend.device(plan.execution().device());
        Machine machine = Machine.read();
        MemoryNeed need = MemoryNeed.of(config, plan.execution());
        long available = device.is_cuda() ? DeviceLoad.cudaMemoryFree(device) : machine.availableMemory();
        long needed = dearest(need, plan).inMemoryOf(device);
        Optional<Rehearsal> rehearsal = Rehearsal.of(config, plan.execution(), data, available, BUDGET_SECONDS);
        Double seconds = rehearsal.map(Rehearsal::secondsPerStep).orElse(null);
        long stepsLeft = Math.max(0, cadence.maxSteps() - stepsDone);
        Double totalSeconds = seconds == null ? null : seconds * stepsLeft;
        long byTime =
                totalSeconds == null || cadence.ckptSeconds() == 0 ? 0 : (long) (totalSeconds / cadence.ckptSeconds());
        long checkpoint = MemoryNeed.checkpoint(config.model()),
                kept =
                        kept(
                                cadence.maxSteps(),
                                cadence.ckptEvery(),
                                byTime,
                                plan.safety().retention());
        long disk = checkpoint * (kept + 1),
                diskFree = Files.getFileStore(Machine.existing(results)).getUsableSpace();
        String advice = needed > available
                ? memoryAdvice(config, plan.execution(), available, device)
                : device.is_cuda() && need.copy() > machine.availableMemory()
                        ? "the machine's memory is too small for the copy from which checkpoints are written: "
                                + bytes(need.copy())
                        : disk > diskFree
                                ? "keep fewer checkpoints (--keep-last, --keep-every), or write elsewhere"
                                : "";
        return new Estimate(
                needed,
                available,
                need.state(),
                dearest(need, plan).activations(),
                need.copy(),
                advice.isEmpty(),
                advice,
                seconds,
                stepsLeft,
                totalSeconds,
                rehearsal.map(done -> measured(done, config)).orElse("nothing: not even three of its blocks fit"),
                checkpoint,
                kept,
                disk,
                diskFree);
    }

    /**
     * What to say before a run that does not fit into the memory that is free; nothing where it does. Of a card the driver says so in time; a
     * system ends the process that has taken too much of its memory, without a word.
     */
    public static Optional<String> memoryWarning(RunPlan plan) {
        TrainConfig config = plan.config();
        Execution execution = plan.execution();
        Device device = Backend.device(execution.device());
        if (device.is_cuda()) return Optional.empty();
        long available = Machine.read().availableMemory(),
                needed = dearest(MemoryNeed.of(config, execution), plan).inMemoryOf(device);
        if (needed <= available) return Optional.empty();
        return Optional.of("WARN this run needs " + bytes(needed) + " of memory, " + bytes(available)
                + " are available, and the system may end it: "
                + memoryAdvice(config, execution, available, device));
    }

    /** At most; {@code byTime} are those that are written because the last is old. */
    static long kept(long maxSteps, int ckptEvery, long byTime, Retention retention) {
        long bySteps = (maxSteps + ckptEvery - 1) / ckptEvery, last = Math.min(bySteps + byTime, retention.last());
        if (retention.every() == 0) return last;
        long both = retention.every() / gcd(retention.every(), ckptEvery) * ckptEvery;
        return last + Math.min(bySteps, bySteps + byTime - last) * ckptEvery / both;
    }

    private static long gcd(long a, long b) {
        return b == 0 ? a : gcd(b, a % b);
    }

    /** The cheapest change with which it fits. */
    private static String memoryAdvice(TrainConfig config, Execution execution, long available, Device device) {
        for (boolean recompute : new boolean[] {execution.recompute(), true}) {
            int micro = IntStream.rangeClosed(1, execution.microBatchSize(config))
                    .filter(images -> config.globalBatchSize() % images == 0)
                    .filter(images -> need(config, execution, images, recompute).inMemoryOf(device) <= available)
                    .max()
                    .orElse(0);
            if (micro > 0)
                return "take --micro-batch-size " + micro
                        + (recompute && !execution.recompute() ? " --recompute" : "")
                        + ", which trains the same"
                        + (execution.precision() == Precision.FP32 ? "; --precision autocast needs less too" : "");
        }
        return "the weights and the optimiser alone need "
                + bytes(need(config, execution, 1, true).inMemoryOf(device))
                + ": take a smaller model (--model, --hidden-size, --depth), or more memory";
    }

    /** The steps of a run, or its grids of samples, if these take more. */
    private static MemoryNeed dearest(MemoryNeed need, RunPlan plan) {
        DiTConfig model = plan.config().model();
        if (plan.cadence().sampleEvery() == 0) return need;
        long drawing = model.predictionBytes(2L * SampleGrid.of(model).classes().size());
        return new MemoryNeed(need.state(), need.copy(), Math.max(need.activations(), drawing));
    }

    private static MemoryNeed need(TrainConfig config, Execution execution, int microBatchSize, boolean recompute) {
        return MemoryNeed.of(
                config, execution.withMicroBatchSize(microBatchSize).withRecompute(recompute));
    }

    private static String measured(Rehearsal done, TrainConfig config) {
        if (done.wholeSteps() > 0) return "the median of " + done.wholeSteps() + " steps";
        int blocks = config.model().depth();
        return "extrapolated from steps of "
                + (done.blocks() == blocks ? "all" : "1 and " + done.blocks() + " of " + blocks) + " blocks with up to "
                + done.images() + " of " + config.globalBatchSize() + " images";
    }

    /** As comments below the configuration. */
    public String toComments() {
        StringBuilder text = new StringBuilder("# memory: " + bytes(memoryNeeded)
                + " of " + bytes(memoryAvailable) + " available; weights, gradients,"
                + " moments and average " + bytes(stateBytes) + ", activations of a micro-batch "
                + bytes(activationBytes)
                + ", copy for checkpoints " + bytes(copyBytes) + "\n");
        text.append(
                secondsPerStep == null
                        ? "# time: unknown, measured on " + measured + "\n"
                        : String.format(
                                Locale.ROOT,
                                "# time: %s a step (%s); %s for %,d steps to come, without grids, validation and saving%n",
                                secondsPerStep < 10
                                        ? String.format(Locale.ROOT, "%.3f s", secondsPerStep)
                                        : String.format(Locale.ROOT, "%.0f s", secondsPerStep),
                                measured,
                                Progress.time((long) (totalSeconds * 1e9)),
                                stepsLeft));
        text.append("# disk: " + bytes(checkpointBytes) + " a checkpoint, " + checkpointsKept + " kept; "
                + bytes(diskNeeded) + " with the one being written, " + bytes(diskFree) + " are free\n");
        if (!fits) text.append("# DOES NOT FIT: " + advice + "\n");
        return text.toString();
    }
}
