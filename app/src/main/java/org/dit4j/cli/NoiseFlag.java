package org.dit4j.cli;

import java.util.List;
import org.dit4j.SampleRequest;
import picocli.CommandLine.Option;

/** Where the noise of pictures comes from. */
final class NoiseFlag {
    /** Sources of noise. */
    enum Source {
        INDEX,
        TORCH
    }

    /** {@code index} and {@code torch}. */
    static final class Sources extends Names<Source> {
        Sources() {
            super(List.of(Source.values()), Names::flag);
        }
    }

    @Option(
            names = "--noise",
            converter = Sources.class,
            completionCandidates = Sources.class,
            paramLabel = "NAME",
            description =
                    "index: a picture depends on the seed and its place alone; torch: as PyTorch draws it from the"
                            + " seed for the published scripts and diffusers, of up to 64 pictures together. Default: index.")
    private Source source = Source.INDEX;

    SampleRequest with(SampleRequest request) {
        return source == Source.TORCH ? request.withTorchNoise() : request;
    }
}
