package org.dit4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.data.Glyphs;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.eval.Gaussian;
import org.dit4j.kernels.OptimizerScalars;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.run.Cadence;
import org.dit4j.run.RunFolder;
import org.dit4j.run.RunIdentity;
import org.dit4j.run.RunPlan;
import org.dit4j.run.Safety;
import org.dit4j.run.TrainingListener;
import org.dit4j.run.TrainingRun;
import org.dit4j.sample.TorchNoise;
import org.dit4j.torch.Autocast;
import org.dit4j.torch.Backend;
import org.dit4j.torch.FlatParameters;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.train.EmaSchedule;
import org.dit4j.train.Execution;
import org.dit4j.train.LearningRate;
import org.dit4j.train.Snapshot;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.TrainState;
import org.dit4j.train.Trainer;
import org.dit4j.vae.AutoencoderKlConfig;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentDistribution;
import org.dit4j.vae.LatentScaling;
import org.dit4j.vae.TinyAutoencoderConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Native memory is not freed under those who use it: closing waits for them, and what comes later is refused. */
class ClosingTest {
    /** Of a pipeline, which people close; of the others fewer show it. */
    private static final int CLOSES = 200, FEWER = 50;

    private static final int THREADS = 4;

    private static final DiTConfig MODEL =
            new DiTConfig(8, 8, 4, 3, 12, 1, 2, 2, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);
    private static final TrainConfig TRAINING = new TrainConfig(
            MODEL, DiffusionConfig.PUBLISHED, 7, 2, new LearningRate(1e-3, 0), 0, 0, new EmaSchedule(0.99, 0), false);
    private static final Execution ON_CPU = new Execution("cpu", Precision.FP32, 2, false, 0);

    /** Public classes that can be closed and hold native memory without a {@link Lifetime}, and why that is no danger. */
    private static final Map<Class<?>, String> OTHERS = Map.of(
            TensorScope.class, "a thread's own: what is made in it belongs to the thread that opened it",
            Autocast.class, "a thread's own: it holds the former setting of that thread");

    /** Guarded too, but of too many weights to be opened here again and again. */
    private static final List<Class<?>> FEATURE_NETWORKS = List.of(
            org.dit4j.eval.InceptionV3.class, org.dit4j.eval.ViT.class, org.dit4j.eval.TorchScriptNetwork.class);

    @TempDir
    Path folder;

    /** Something of a class that owns native memory, which others use. */
    interface Owner extends AutoCloseable {
        void use() throws Exception;

        @Override
        void close() throws IOException;
    }

    /** Makes an owner of a closeable. */
    private static <T extends AutoCloseable> Owner owner(T owned, Use<T> use) {
        return new Owner() {
            @Override
            public void use() throws Exception {
                try (TensorScope scope = new TensorScope()) {
                    use.of(owned);
                }
            }

            @Override
            public void close() throws IOException {
                try {
                    owned.close();
                } catch (IOException | RuntimeException e) {
                    throw e;
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            }
        };
    }

    private interface Use<T> {
        void of(T owned) throws Exception;
    }

    /** Each public class of the library that owns native memory, and how many threads may use one at once. */
    enum Kind {
        PIPELINE(DiTPipeline.class, THREADS),
        NETWORK(DiT.class, THREADS),
        AUTOENCODER(org.dit4j.vae.AutoencoderKl.class, THREADS),
        TINY_AUTOENCODER(org.dit4j.vae.TinyAutoencoder.class, THREADS),
        DISTRIBUTION(LatentDistribution.class, THREADS),
        NOISE(TorchNoise.class, THREADS),
        PARAMETERS(FlatParameters.class, THREADS),
        SCALARS(OptimizerScalars.class, THREADS),
        TRAINER(Trainer.class, 1),
        STATE(TrainState.class, THREADS),
        FIT(Gaussian.Fit.class, 1),
        SNAPSHOT(Snapshot.class, 1),
        RUN(TrainingRun.class, 1);

        final Class<?> type;
        final int threads;

        Kind(Class<?> type, int threads) {
            this.type = type;
            this.threads = threads;
        }
    }

    private static Tensor images() {
        return torch.zeros(2, 3, 8, 8);
    }

    private static DiT network() {
        DiT network = MODEL.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(network), 3);
        }
        return network;
    }

    private Callable<Owner> opening(Kind kind) throws IOException {
        return switch (kind) {
            case PIPELINE -> {
                Path file = folder.resolve("network.safetensors");
                try (DiT network = network()) {
                    DiTCheckpoint.write(file, network, new Glyphs(3, 8).classNames(), DiffusionConfig.PUBLISHED, "");
                }
                SampleRequest request = SampleRequest.of("star", "heart").withSteps(1000);
                yield () -> owner(
                        DiTPipeline.open(file, "cpu", Precision.FP32),
                        pipeline -> pipeline.sample(request, step -> step.number() < 5));
            }
            case NETWORK ->
                () -> owner(
                        network(),
                        network -> network.forward(
                                images(), torch.zeros(2), torch.zeros(2).to(torch.ScalarType.Long)));
            case AUTOENCODER -> {
                AutoencoderKlConfig config = new AutoencoderKlConfig(
                        3, 3, 4, List.of(8, 16), 1, 4, 32, true, true, true, LatentScaling.STABLE_DIFFUSION);
                yield () -> owner(config.network(), ClosingTest::roundTrip);
            }
            case TINY_AUTOENCODER -> () -> owner(new TinyAutoencoderConfig(4).network(), ClosingTest::roundTrip);
            case DISTRIBUTION ->
                () -> owner(
                        new LatentDistribution(torch.zeros(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)),
                        distribution -> distribution.sample(torch.zeros(2, 4, 8, 8)));
            case NOISE ->
                () -> owner(new TorchNoise(3, Backend.device("cpu"), true), noise -> noise.normal(2, 3, 8, 8));
            case PARAMETERS -> {
                DiT network = network();
                yield () -> owner(new FlatParameters(network), FlatParameters::gradientNorm);
            }
            case SCALARS ->
                () -> owner(new OptimizerScalars(Backend.device("cpu")), scalars -> {
                    scalars.set(1e-3, 0.1);
                    scalars.learningRate();
                });
            case TRAINER ->
                () -> owner(new Trainer(TRAINING, ON_CPU, new Glyphs(3, 8)), trainer -> {
                    trainer.step();
                    trainer.drainMeanLoss();
                });
            case STATE ->
                () -> owner(
                        new TrainState(TRAINING, Backend.device("cpu"), Precision.FP32),
                        state -> state.averagedNetwork()
                                .forward(
                                        images(), torch.zeros(2), torch.zeros(2).to(torch.ScalarType.Long)));
            case FIT ->
                () -> owner(new Gaussian.Fit(4), fit -> {
                    fit.add(torch.zeros(3, 4));
                    fit.result();
                });
            case SNAPSHOT -> {
                TrainState state = new TrainState(TRAINING, Backend.device("cpu"), Precision.FP32);
                DiT network = network();
                var description = org.dit4j.checkpoint.DiTWeights.of(network, List.of(), "")
                        .description();
                yield () -> owner(new Snapshot(state, description), snapshot -> snapshot.take(Map.of()));
            }
            case RUN -> {
                Glyphs glyphs = new Glyphs(3, 8);
                RunPlan plan =
                        new RunPlan(TRAINING, ON_CPU, new Cadence(1_000_000, 100, 1_000_000, 0, 0, 0), Safety.DEFAULT);
                RunIdentity identity = RunIdentity.of(TRAINING, Precision.FP32, glyphs);
                RunFolder run = RunFolder.create(folder.resolve("runs"), "tiny", identity);
                yield () -> owner(TrainingRun.open(run, plan, glyphs), opened -> opened.run(new TrainingListener() {}));
            }
        };
    }

    private static void roundTrip(LatentCodec codec) {
        codec.decode(codec.encode(images()).mean());
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void closingWaitsForThoseWhoUseItAndRefusesWhatComes(Kind kind) throws Exception {
        Callable<Owner> opening = opening(kind);
        int closes = kind == Kind.PIPELINE ? CLOSES : kind.threads == 1 ? FEWER / 2 : FEWER;
        ExecutorService threads = Executors.newFixedThreadPool(kind.threads);
        try {
            for (int round = 0; round < closes; round++) {
                Owner owner = opening.call();
                CountDownLatch begun = new CountDownLatch(kind.threads);
                List<Future<?>> users = new ArrayList<>();
                for (int i = 0; i < kind.threads; i++)
                    users.add(threads.submit(() -> {
                        begun.countDown();
                        while (true) owner.use();
                    }));
                begun.await();
                if (round % 2 == 1) Thread.sleep(1);
                owner.close();
                owner.close();
                for (Future<?> user : users) {
                    Throwable cause =
                            assertThrows(ExecutionException.class, user::get).getCause();
                    boolean told = cause instanceof IllegalStateException; // which CancellationException is one of
                    assertTrue(told, () -> kind + ": " + cause);
                }
                Throwable later = assertThrows(IllegalStateException.class, owner::use);
                assertTrue(
                        later.getMessage().contains(" is closed") && !(later instanceof CancellationException),
                        later::toString);
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void everyPublicClassThatOwnsNativeMemoryIsAmongThem() throws Exception {
        Set<String> unguarded = new TreeSet<>(), guarded = new TreeSet<>();
        for (Class<?> type : library()) {
            boolean closeable = AutoCloseable.class.isAssignableFrom(type)
                    && Modifier.isPublic(type.getModifiers())
                    && !Modifier.isAbstract(type.getModifiers());
            // the parts of a network are closed with the whole, and cannot be made by others
            boolean part = Module.class.isAssignableFrom(type)
                    && Arrays.stream(type.getDeclaredMethods())
                            .noneMatch(method -> method.getName().equals("close"));
            if (!closeable || part) continue;
            List<Class<?>> fields = new ArrayList<>();
            for (Field field : type.getDeclaredFields())
                if (!Modifier.isStatic(field.getModifiers())) fields.add(field.getType());
            if (fields.contains(Lifetime.class)) guarded.add(type.getName());
            else if (fields.stream().anyMatch(ClosingTest::isNative)) unguarded.add(type.getName());
        }
        assertEquals(names(OTHERS.keySet()), unguarded);
        guarded.removeAll(names(FEATURE_NETWORKS));
        assertEquals(names(Arrays.stream(Kind.values()).map(kind -> kind.type).toList()), guarded);
    }

    private static List<Class<?>> library() throws Exception {
        Path root = Path.of(Lifetime.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        List<Class<?>> classes = new ArrayList<>();
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file :
                    files.filter(path -> path.toString().endsWith(".class")).toList()) {
                String name = root.relativize(file).toString().replace(File.separatorChar, '.');
                if (!name.endsWith("-info.class"))
                    classes.add(Class.forName(
                            name.substring(0, name.length() - ".class".length()),
                            false,
                            ClosingTest.class.getClassLoader()));
            }
        }
        assertTrue(classes.size() > 100, "the classes of the library are not at " + root);
        return classes;
    }

    private static boolean isNative(Class<?> type) {
        return type.getName().startsWith("org.bytedeco") || Pointer.class.isAssignableFrom(type);
    }

    private static Set<String> names(Iterable<? extends Class<?>> types) {
        Set<String> names = new TreeSet<>();
        types.forEach(type -> names.add(type.getName()));
        return names;
    }
}
