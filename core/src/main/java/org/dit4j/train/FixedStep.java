package org.dit4j.train;

import java.util.function.Consumer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.kernels.FusedKernels;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** A step whose inputs lie at a fixed place on the device, so that it can be captured once and started as a whole. */
final class FixedStep implements AutoCloseable {
    /** As {@link Trainer#accumulate} takes them; labels are null for an unconditional model. */
    record Inputs(Tensor x0, Tensor noise, Tensor times, Tensor labels) {}

    private final Device device;
    private final FusedKernels.Replay replay;
    private Inputs inputs;

    FixedStep(FusedKernels kernels, Device device, Consumer<Inputs> step) {
        this.device = device;
        replay = kernels.capture(() -> step.accept(inputs));
    }

    /** Brings a batch to the device without waiting for it. */
    void fill(Tensor x0, Tensor noise, Tensor times, long[] labels) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor given = labels == null ? null : Tensors.of(labels, labels.length);
            if (inputs == null)
                inputs = new Inputs(place(x0), place(noise), place(times), given == null ? null : place(given));
            copy(x0, inputs.x0());
            copy(noise, inputs.noise());
            copy(times, inputs.times());
            if (given != null) copy(given, inputs.labels());
        }
    }

    private Tensor place(Tensor like) {
        return TensorScope.keeping(() -> Tensors.to(like, device).clone());
    }

    /** By way of pinned memory, which LibTorch gives to nobody else before the copy is done. */
    private void copy(Tensor from, Tensor to) {
        boolean toCard = device.is_cuda() && from.is_cpu();
        to.copy_(toCard ? from.pin_memory() : from, toCard);
    }

    void run() {
        replay.run();
    }

    @Override
    public void close() {
        replay.close();
        if (inputs == null) return;
        inputs.x0().close();
        inputs.noise().close();
        inputs.times().close();
        if (inputs.labels() != null) inputs.labels().close();
    }
}
