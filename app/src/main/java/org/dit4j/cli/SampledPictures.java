package org.dit4j.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.eval.PictureSource;
import org.dit4j.io.Images;
import org.dit4j.io.Sha256;
import org.dit4j.sample.StepListener;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Pictures that a model draws when they are asked for. Closing it closes the pipeline. */
final class SampledPictures implements PictureSource {
    private final Path path;
    private final OpenOptions options;
    private final DiTPipeline pipeline;
    private final SampleRequest request;
    private final String text;
    private String digest;

    /**
     * @param request of all pictures
     * @param text how they are drawn, on one line
     */
    SampledPictures(Path path, OpenOptions options, DiTPipeline pipeline, SampleRequest request, String text) {
        this.path = path;
        this.options = options;
        this.pipeline = pipeline;
        this.request = request;
        this.text = text;
    }

    @Override
    public long size() {
        return request.classes().size();
    }

    @Override
    public Tensor read(long from, int count) {
        return TensorScope.local(() -> {
            List<Tensor> batches = new ArrayList<>();
            pipeline.sample(
                    request.part(Math.toIntExact(from), count),
                    StepListener.NONE,
                    // a batch lives as long as this call
                    batch -> batches.add(TensorScope.keeping(
                            () -> Tensors.to(Images.toLevels(batch).contiguous(), Backend.device("cpu")))));
            Tensor all = Tensors.cat(0, batches.toArray(Tensor[]::new));
            batches.forEach(Tensor::close);
            return all;
        });
    }

    @Override
    public String digest() throws IOException {
        if (digest == null) {
            StringBuilder identity = new StringBuilder(text);
            for (Path file : Checkpoints.files(path, options)) identity.append(Sha256.hex(file));
            options.vae().ifPresent(vae -> identity.append(vae.toAbsolutePath()));
            digest = Sha256.hex(identity.toString().getBytes(StandardCharsets.UTF_8));
        }
        return digest;
    }

    @Override
    public String describe() {
        return path + ": " + size() + " pictures drawn by " + text;
    }

    @Override
    public void close() {
        pipeline.close();
    }
}
