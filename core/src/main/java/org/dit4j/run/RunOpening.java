package org.dit4j.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.checkpoint.Content;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.data.Dataset;
import org.dit4j.data.Fingerprint;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.FormatException;
import org.dit4j.io.NoLinks;
import org.dit4j.train.Snapshot;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;
import org.dit4j.train.Validation;
import org.dit4j.vae.LatentSpace;
import org.dit4j.vae.LinearRgb;

/** Opens a run in its folder: locks it, removes what a crash left, makes what is missing, and brings the trainer to where the run was. */
final class RunOpening {
    private final RunLock lock;
    private final RunFolder folder;
    private final RunPlan plan;
    private final Dataset dataset;
    private final Optional<Validation> validation;
    /** To be closed, the last first, if the opening fails. */
    private final List<AutoCloseable> opened = new ArrayList<>();

    private RunOpening(RunLock lock, RunPlan plan, Dataset dataset, Optional<Validation> validation) {
        this.lock = lock;
        folder = lock.folder();
        opened.add(lock);
        this.plan = plan;
        this.dataset = dataset;
        this.validation = validation;
    }

    /** As {@link TrainingRun#open}; closes the lock if it fails. */
    static OpenedRun open(RunLock lock, RunPlan plan, Dataset dataset, Optional<Validation> validation)
            throws IOException {
        RunOpening opening = new RunOpening(lock, plan, dataset, validation);
        try {
            if (validation.isPresent())
                requireSameKind(plan, dataset, validation.get().data());
            return opening.open();
        } catch (IOException | RuntimeException e) {
            for (int i = opening.opened.size() - 1; i >= 0; i--) close(opening.opened.get(i), e);
            throw e;
        }
    }

    private static void requireSameKind(RunPlan plan, Dataset dataset, Dataset validation) {
        Trainer.requireFits(plan.config(), plan.execution(), validation);
        if (plan.config().model().numClasses() > 0 && !validation.classNames().equals(dataset.classNames()))
            throw new IllegalArgumentException("the classes to validate on, " + validation.classNames()
                    + ", are not those to train on, " + dataset.classNames());
        if (!encoding(validation).equals(encoding(dataset)))
            throw new IllegalArgumentException(
                    "what to validate on is " + encoding(validation) + ", what to train on is " + encoding(dataset));
    }

    private static String encoding(Dataset dataset) {
        return dataset.latents()
                .map(latents -> "latents of the encoder " + latents.encoderDigest() + " at scale " + latents.scale()
                        + " and shift " + latents.shift())
                .orElse("pictures");
    }

    private static void close(AutoCloseable opened, Exception failure) {
        try {
            opened.close();
        } catch (Exception e) {
            failure.addSuppressed(e);
        }
    }

    private <C extends AutoCloseable> C closing(C resource) {
        opened.add(resource);
        return resource;
    }

    private OpenedRun open() throws IOException {
        TrainConfig config = plan.config();
        RunIdentity former = folder.identity();
        Fingerprint fingerprint = dataset.fingerprint(folder.fingerprint());
        RunIdentity identity = RunIdentity.of(config, plan.execution().precision(), dataset, Optional.of(fingerprint))
                .withOriginOf(former);
        if (!identity.isOfModel(former))
            throw new IllegalArgumentException(folder.path() + " trains another model: "
                    + String.join("; ", identity.differences(former)) + "; begin another run with --resume never");
        repair(former, identity);
        folder.keep(fingerprint);
        List<String> damage = new ArrayList<>(), foreign = new ArrayList<>();
        OwnCheckpoints own = new OwnCheckpoints(folder, former, identity);
        Optional<Path> checkpoint = own.newestWhole(damage::add, foreign::add);
        if (checkpoint.isEmpty() && !damage.isEmpty())
            throw new IOException("no checkpoint of " + folder.path() + " is whole: " + damage.get(0)
                    + "; start another run with --resume never");
        if (checkpoint.isEmpty() && !foreign.isEmpty())
            throw new IOException("no checkpoint in " + folder.path() + " is of this run: " + foreign.get(0)
                    + "; take it away, or start another run with --resume never");
        InitialState initial = checkpoint.isPresent() ? InitialState.FRESH : initialState(former);
        Trainer trainer = closing(
                checkpoint.isPresent()
                        ? Trainer.resume(config, plan.execution(), dataset, checkpoint.get())
                        : Trainer.begin(config, plan.execution(), dataset, initial.steps(), initial::load));
        RunLog log = new RunLog(folder.log());
        MetricsLog metrics = new MetricsLog(folder.metrics(), saved(checkpoint, "metricsBytes"));
        Snapshot snapshot = closing(new Snapshot(trainer.state(), description()));
        Saver saver = new Saver(
                folder.checkpoints(),
                plan.safety(),
                identity,
                snapshot,
                metrics,
                log,
                checkpoint.isPresent() ? trainer.steps() : -1);
        opened.set(opened.size() - 1, saver); // which closes the snapshot
        ValidationLog validationLog = new ValidationLog(folder.validation(), trainer.steps());
        RollBack rollBack = new RollBack(own, plan.safety().maxRollbacks(), log, saved(checkpoint, "rollbacks"));
        for (String line : damage) log.warn("Skipped a damaged checkpoint: " + line);
        for (String line : foreign) log.warn("Skipped a checkpoint: " + line);
        for (String line : identity.differences(former)) log.warn(RunLog.CHANGED + line);
        return new OpenedRun(
                lock,
                folder,
                plan,
                dataset,
                validation,
                checkpoint,
                initial.notes(),
                trainer,
                log,
                metrics,
                validationLog,
                saver,
                rollBack);
    }

    private void repair(RunIdentity former, RunIdentity identity) throws IOException {
        if (!Files.isDirectory(folder.checkpoints()))
            throw new NoSuchFileException(
                    folder.checkpoints().toString(),
                    null,
                    "the folder of the run's checkpoints is not there; bring it back, or start another run with"
                            + " --resume never");
        // a stranger's folder may have links in it, and nothing is written through them
        NoLinks.require(folder.path(), folder.checkpoints());
        NoLinks.require(folder.path(), folder.samples());
        NoLinks.require(folder.path(), folder.log());
        CheckpointFolder.removeOrphans(folder.checkpoints());
        AtomicFile.removeOrphans(folder.path());
        AtomicFile.removeOrphans(folder.samples());
        folder.repair(former, identity);
    }

    private InitialState initialState(RunIdentity run) throws IOException {
        Origin origin = Origin.of(run);
        InitialState state = origin.open(plan.config(), dataset);
        if (!origin.isUnchangedSince(run))
            throw new FormatException(
                    origin.path().orElseThrow(),
                    "is not the file any more that this run is to begin with; begin another with --resume never");
        return state;
    }

    private static long saved(Optional<Path> checkpoint, String key) throws IOException {
        return checkpoint.isPresent()
                ? CheckpointFolder.state(checkpoint.get()).path(key).asLong()
                : 0;
    }

    /** What the run's checkpoints say of the network. */
    private DiTDescription description() {
        TrainConfig config = plan.config();
        return new DiTDescription(
                        config.model(),
                        config.model().numClasses() == 0 ? List.of() : dataset.classNames(),
                        config.diffusion(),
                        "")
                .withContent(dataset.latents().isPresent() ? Content.LATENTS : Content.PIXELS)
                .withLatents(
                        dataset.latents()
                                .map(header -> LatentSpace.of(
                                        header.encoderDigest(), header.scale(), header.shift(), header.probe())),
                        dataset.linearRgb().map(coefficients -> new LinearRgb(dataset.channels(), coefficients)));
    }
}
