package org.dit4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.dit4j.eval.FeatureNetwork;
import org.dit4j.eval.InceptionV3;
import org.dit4j.eval.InceptionWeights;
import org.dit4j.eval.TorchScriptNetwork;
import org.dit4j.eval.ViT;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import picocli.CommandLine.Option;

/** By which network pictures are compared, and where its features are kept. */
final class FeatureFlags {
    @Option(
            names = "--evaluator",
            converter = Profiles.class,
            completionCandidates = Profiles.class,
            paramLabel = "NAME",
            description =
                    "Whose figures: ${COMPLETION-CANDIDATES}. They have the same network, and their own ways to bring"
                            + " a picture to its size. Default: adm, the papers'.")
    private InceptionV3.Profile profile;

    @Option(
            names = "--inception",
            paramLabel = "FILE",
            description =
                    "Weights of the Inception network of 2015 (pt_inception-2015-12-05-6726825d.pth). Default: where"
                            + " PyTorch's programs keep them, or ~/.cache/dit4j.")
    private Path inception;

    @Option(
            names = "--other-inception-weights",
            description =
                    "Take other weights than the published ones for --inception; figures compare with nobody's then.")
    private boolean otherWeights;

    @Option(
            names = "--dinov2",
            paramLabel = "FILE",
            description =
                    "In place of Inception, DINOv2 with these weights (dinov2_vitl14_pretrain.pth; S, B or L, with registers or"
                            + " not): the Frechet distance that newer papers report.")
    private Path dinov2;

    @Option(
            names = "--features",
            paramLabel = "FILE",
            description = "In place of Inception, a network that torch.jit.save wrote: (N, 3, H, W) to (N, D).")
    private Path features;

    @Option(
            names = "--features-size",
            converter = Ranges.CountOrNone.class,
            paramLabel = "PIXELS",
            description = "Resize pictures to this for --features; 0: their own size. Default: 0.")
    private Integer featuresSize;

    @Option(
            names = "--features-mean",
            split = ",",
            paramLabel = "X",
            description = "Subtracted from pixels in [0, 1], one for each channel. Default: 0,0,0.")
    private List<Double> featuresMean;

    @Option(names = "--features-std", split = ",", paramLabel = "X", description = "And divided by. Default: 1,1,1.")
    private List<Double> featuresStd;

    @Option(
            names = "--batch-size",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description =
                    "Pictures through the feature network at once; last bits depend on it. Default: ${DEFAULT-VALUE}.")
    private int batchSize = 32;

    @Option(
            names = "--num-workers",
            converter = Ranges.CountOrNone.class,
            paramLabel = "N",
            description = "Threads that read and decode pictures. Default: ${DEFAULT-VALUE}.")
    private int numWorkers = 4;

    @Option(
            names = "--precision",
            converter = EncodeCommand.Precisions.class,
            completionCandidates = EncodeCommand.Precisions.class,
            paramLabel = "NAME",
            description = "Of Inception: ${COMPLETION-CANDIDATES}. Default: fp32.")
    private Precision precision = Precision.FP32;

    @Option(
            names = "--device",
            completionCandidates = Names.Devices.class,
            paramLabel = "NAME",
            description = "cpu, cuda, cuda:N, or auto: the GPU if there is one. Default: ${DEFAULT-VALUE}.")
    private String device = "auto";

    @Option(
            names = "--cache",
            paramLabel = "FOLDER",
            description =
                    "Where features are kept, some 20 kB a picture: a job that was ended goes on, and the same pictures"
                            + " are not computed twice. Default: ${DEFAULT-VALUE}.")
    private Path cache = Path.of("features");

    /** The three evaluators. */
    static final class Profiles extends Names<InceptionV3.Profile> {
        Profiles() {
            super(List.of(InceptionV3.Profile.values()), InceptionV3.Profile::text);
        }
    }

    int batchSize() {
        return batchSize;
    }

    int numWorkers() {
        return numWorkers;
    }

    String device() {
        return device;
    }

    Path cache() {
        return cache;
    }

    /** @throws IllegalArgumentException if the flags exclude each other, or the weights are nowhere */
    FeatureNetwork open() {
        Failure.as(ExitCode.DEVICE, () -> Backend.device(device));
        if (features == null && (featuresSize != null || featuresMean != null || featuresStd != null))
            throw new IllegalArgumentException(
                    "--features-size, --features-mean and --features-std go with --features");
        if (dinov2 != null && (features != null || inception != null || profile != null || otherWeights))
            throw new IllegalArgumentException("--dinov2 is in place of Inception and --features: one of them");
        if (features != null && (inception != null || profile != null || otherWeights))
            throw new IllegalArgumentException(
                    "--features is in place of Inception: --inception and --evaluator go without it");
        return Failure.as(ExitCode.CHECKPOINT, () -> {
            if (dinov2 != null) return ViT.open(dinov2, device);
            return features == null ? openInception() : openFeatures();
        });
    }

    private FeatureNetwork openInception() throws IOException {
        Path file = inception != null
                ? inception
                : InceptionWeights.find()
                        .orElseThrow(() -> new Failure(
                                ExitCode.CHECKPOINT,
                                "the weights of Inception are not here: " + InceptionWeights.advice()
                                        + ": --inception FILE"));
        return InceptionV3.open(
                file, profile == null ? InceptionV3.Profile.ADM : profile, device, precision, otherWeights);
    }

    private FeatureNetwork openFeatures() throws IOException {
        TorchScriptNetwork.Input unit = TorchScriptNetwork.Input.UNIT;
        return TorchScriptNetwork.open(
                features,
                new TorchScriptNetwork.Input(
                        featuresSize == null ? unit.size() : featuresSize,
                        featuresMean == null ? unit.mean() : featuresMean,
                        featuresStd == null ? unit.deviation() : featuresStd),
                device);
    }
}
