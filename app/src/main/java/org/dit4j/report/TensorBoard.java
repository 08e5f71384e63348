package org.dit4j.report;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.dit4j.io.EventFile;
import org.dit4j.run.RunFolder;
import org.dit4j.run.TrainingListener;
import org.dit4j.run.TrainingLog;
import org.dit4j.train.Histograms;
import org.dit4j.train.Trainer;
import org.dit4j.train.ValidationLosses;

/** Writes what a run logs for TensorBoard too. What cannot be written is told, and does not end the run. */
public final class TensorBoard implements TrainingListener, AutoCloseable {
    /** Histograms come with every so many logs: they are large. */
    private static final int LOGS_TO_HISTOGRAMS = 10;

    private static final int PNG_WIDTH_AT = 16, PNG_HEIGHT_AT = 20;

    private final RunFolder folder;
    private final long doneSteps;
    private final String configuration;
    private final boolean histograms;
    private final Consumer<String> messages;
    /** Null until there is something to write, so that a run that is only looked at leaves no file. */
    private EventFile file;

    private long logs;
    private boolean failing;

    /**
     * Follows a run that has {@code doneSteps} steps when it begins or goes on.
     *
     * @param configuration as YAML
     * @param histograms whether weights, gradients and averages are shown too
     */
    public TensorBoard(
            RunFolder folder, long doneSteps, String configuration, boolean histograms, Consumer<String> messages) {
        this.folder = folder;
        this.doneSteps = doneSteps;
        this.configuration = configuration;
        this.histograms = histograms;
        this.messages = messages;
    }

    @Override
    public void onLog(Trainer trainer, TrainingLog log) {
        List<EventFile.Value> values = new ArrayList<>();
        add(values, "train/loss", log.loss());
        add(values, "train/gradient_norm", log.gradientNorm());
        add(values, "train/learning_rate", log.learningRate());
        add(values, "train/skipped_steps", log.skippedSteps());
        add(values, "train/spike", log.spike() ? 1 : 0);
        add(values, "train/images_per_second", log.time().imagesPerSecond());
        add(values, "device/percent_of_peak", log.time().percentOfPeak());
        if (log.time().memoryBytes() > 0)
            add(values, "device/memory_bytes", log.time().memoryBytes());
        boolean withHistograms = histograms && logs++ % LOGS_TO_HISTOGRAMS == 0;
        write(log.step(), () -> {
            if (withHistograms) values.addAll(Histograms.of(trainer.state()));
            return values;
        });
    }

    private static void add(List<EventFile.Value> values, String tag, double value) {
        if (Double.isFinite(value)) values.add(EventFile.scalar(tag, value));
    }

    @Override
    public void onValidation(Trainer trainer, ValidationLosses losses) {
        List<EventFile.Value> values = new ArrayList<>();
        add(values, "validation/loss", losses.loss());
        for (int i = 0; i < losses.buckets().size(); i++)
            add(
                    values,
                    String.format(
                            Locale.ROOT,
                            "validation_by_timestep/%03d-%03d",
                            losses.firstTimestep(i),
                            losses.firstTimestep(i + 1) - 1),
                    losses.buckets().get(i));
        write(losses.step(), () -> values);
    }

    /** The grid that was just drawn. */
    @Override
    public void onSamples(Trainer trainer) {
        write(trainer.steps(), () -> {
            byte[] png = Files.readAllBytes(folder.samples(trainer.steps()));
            ByteBuffer header = ByteBuffer.wrap(png);
            return List.of(EventFile.image("samples", header.getInt(PNG_WIDTH_AT), header.getInt(PNG_HEIGHT_AT), png));
        });
    }

    /** What may fail to be read. */
    private interface Values {
        List<EventFile.Value> get() throws IOException;
    }

    private void write(long step, Values values) {
        try {
            if (file == null) {
                file = EventFile.create(folder.path(), doneSteps + 1);
                file.add(doneSteps, List.of(EventFile.text("configuration", "```yaml\n" + configuration + "```\n")));
            }
            file.add(step, values.get());
            failing = false;
        } catch (IOException | RuntimeException | VirtualMachineError | LinkageError e) {
            if (!failing) messages.accept("Nothing for TensorBoard at step " + step + ": " + e.getMessage());
            failing = true;
        }
    }

    @Override
    public void close() {
        try {
            if (file != null) file.close();
        } catch (IOException e) {
            messages.accept("The events for TensorBoard may be incomplete: " + e.getMessage());
        }
    }
}
