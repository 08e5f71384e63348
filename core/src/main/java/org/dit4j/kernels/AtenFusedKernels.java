package org.dit4j.kernels;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** LibTorch's operators one by one, in the wide dtype and rounded at the end: what every other implementation is compared with. */
public final class AtenFusedKernels implements FusedKernels {
    @Override
    public void junction(
            Tensor x, Tensor branch, Modulation modulation, double eps, Tensor sum, Tensor normal, Tensor statistics) {
        run(() -> {
            Tensor total = x;
            if (branch != null) {
                total = sum;
                sum.copy_(x.add(rows(branch.to(wide(x)), modulation.gate())
                        .mul(each(modulation.gate()))
                        .view(x.shape())));
            }
            Tensor mean = total.mean(new long[] {1}, true, null);
            Tensor centred = total.sub(mean);
            Tensor inverse = centred.square()
                    .mean(new long[] {1}, true, null)
                    .add(new Scalar(eps))
                    .rsqrt();
            statistics.narrow(1, 0, 1).copy_(mean);
            statistics.narrow(1, 1, 1).copy_(inverse);
            normal.copy_(rows(centred.mul(inverse), modulation.scale())
                    .mul(each(modulation.scale()).add(new Scalar(1)))
                    .add(each(modulation.shift()))
                    .view(x.shape()));
        });
    }

    @Override
    public void junctionBackward(
            Tensor normalGradient,
            Tensor sum,
            Tensor statistics,
            Tensor branch,
            Modulation modulation,
            Tensor gradient,
            Tensor branchGradient,
            Tensor biasGradient,
            Modulation gradients) {
        run(() -> {
            Tensor scale = modulation.scale(), inverse = statistics.narrow(1, 1, 1);
            Tensor hat = sum.sub(statistics.narrow(1, 0, 1)).mul(inverse);
            Tensor outer = rows(normalGradient.to(wide(sum)), scale);
            gradients.shift().copy_(outer.sum(1));
            gradients.scale().copy_(outer.mul(rows(hat, scale)).sum(1));
            Tensor inner = outer.mul(each(scale).add(new Scalar(1))).view(sum.shape());
            Tensor projected = inner.sub(inner.mean(new long[] {1}, true, null))
                    .sub(hat.mul(inner.mul(hat).mean(new long[] {1}, true, null)));
            gradient.add_(projected.mul(inverse));
            if (branch == null) return;
            Tensor gate = modulation.gate(), whole = rows(gradient, gate);
            gradients.gate().copy_(whole.mul(rows(branch.to(wide(sum)), gate)).sum(1));
            Tensor gated = whole.mul(each(gate)).view(sum.shape());
            branchGradient.copy_(gated);
            biasGradient.add_(gated.sum(0));
        });
    }

    @Override
    public void linear(Tensor x, Tensor weight, Tensor bias, Tensor out) {
        run(() -> out.copy_(torch.addmm(bias, x, weight.t())));
    }

    @Override
    public void linearGelu(Tensor x, Tensor weight, Tensor bias, Tensor before, Tensor after) {
        run(() -> {
            before.copy_(torch.addmm(bias, x, weight.t()));
            after.copy_(torch.gelu(before, "tanh"));
        });
    }

    @Override
    public void linearBackward(Tensor outGradient, Tensor weight, Tensor gradient) {
        run(() -> gradient.copy_(outGradient.matmul(weight)));
    }

    @Override
    public void linearGeluBackward(
            Tensor outGradient, Tensor weight, Tensor before, Tensor after, Tensor gradient, Tensor biasGradient) {
        run(() -> {
            if (after != null) after.copy_(torch.gelu(before, "tanh"));
            Tensor wide = torch.gelu_backward(
                    outGradient.matmul(weight).to(wide(biasGradient)), before.to(wide(biasGradient)), "tanh");
            gradient.copy_(wide);
            biasGradient.add_(wide.sum(0));
        });
    }

    @Override
    public void weightGradient(Tensor outGradient, Tensor x, Tensor weightGradient) {
        run(() -> weightGradient.add_(outGradient.t().matmul(x)));
    }

    @Override
    public void modulations(Tensor c, Tensor weights, Tensor biases, Tensor out) {
        run(() -> out.copy_(c.unsqueeze(0).matmul(weights.transpose(1, 2)).add(biases.unsqueeze(1))));
    }

    @Override
    public void modulationsBackward(
            Tensor outGradient,
            Tensor c,
            Tensor weights,
            Tensor weightGradients,
            Tensor biasGradients,
            Tensor gradient) {
        run(() -> {
            Tensor rounded = outGradient.to(c.scalar_type());
            weightGradients.add_(rounded.transpose(1, 2).matmul(c));
            biasGradients.add_(outGradient.sum(1));
            gradient.add_(rounded.matmul(weights).to(wide(gradient)).sum(0));
        });
    }

    /** The attention's weights, (N, heads, T, T) wide, beside its result. */
    private record Weights(Tensor values, Tensor mixed) implements Attended {
        @Override
        public void close() {
            values.close();
            mixed.close();
        }
    }

    @Override
    public Attended attention(Tensor qkv, boolean backward) {
        Tensor[] kept = new Tensor[2];
        run(() -> {
            Tensor wide = wideOf(qkv);
            kept[0] = TensorScope.detached(part(wide, 0)
                    .mul(new Scalar(1 / Math.sqrt(qkv.size(4))))
                    .matmul(part(wide, 1).transpose(2, 3))
                    .softmax(-1));
            kept[1] = TensorScope.detached(
                    kept[0].matmul(part(wide, 2)).transpose(1, 2).contiguous().to(qkv.scalar_type()));
        });
        return new Weights(kept[0], kept[1]);
    }

    @Override
    public void attentionBackward(
            Tensor qkv, Attended attended, Tensor mixedGradient, Tensor qkvGradient, Tensor biasGradient) {
        run(() -> {
            Tensor wide = wideOf(qkv), weights = ((Weights) attended).values();
            Scalar scale = new Scalar(1 / Math.sqrt(qkv.size(4)));
            Tensor outer = mixedGradient.to(wide(wide)).transpose(1, 2);
            Tensor own =
                    outer.mul(attended.mixed().to(wide(wide)).transpose(1, 2)).sum(new long[] {3}, true, null);
            Tensor logits = outer.matmul(part(wide, 2).transpose(2, 3))
                    .sub(own)
                    .mul(weights)
                    .mul(scale);
            Tensor gradient = Tensors.stack(
                    2,
                    logits.matmul(part(wide, 1)).transpose(1, 2),
                    logits.transpose(2, 3).matmul(part(wide, 0)).transpose(1, 2),
                    weights.transpose(2, 3).matmul(outer).transpose(1, 2));
            qkvGradient.copy_(gradient);
            biasGradient.add_(gradient.flatten(0, 1).sum(0).flatten(0, -1));
        });
    }

    @Override
    public Replay capture(Runnable body) {
        return new Replay() {
            @Override
            public void run() {
                body.run();
            }

            @Override
            public void close() {}
        };
    }

    private static ScalarType wide(Tensor tensor) {
        return tensor.scalar_type();
    }

    private static Tensor wideOf(Tensor tensor) {
        return Tensors.dtype(tensor) == ScalarType.Double ? tensor : tensor.to(ScalarType.Float);
    }

    /** (N, T, 3, heads, d) → queries, keys or values, (N, heads, T, d). */
    private static Tensor part(Tensor qkv, int which) {
        return qkv.select(2, which).transpose(1, 2);
    }

    /** (M, D) → (N, T, D), as many samples as the modulation has. */
    private static Tensor rows(Tensor tokens, Tensor modulation) {
        return tokens.view(modulation.size(0), -1, tokens.size(1));
    }

    private static Tensor each(Tensor modulation) {
        return modulation.unsqueeze(1);
    }

    private static void run(Runnable body) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            body.run();
        }
    }
}
