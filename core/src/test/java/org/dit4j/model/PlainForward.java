package org.dit4j.model;

import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.Tensors;

/**
 * The adaLN-Zero network a second time, as one function over a state dict with softmax written out, and with switches for what is easily
 * got wrong: it shows that a golden tolerance rejects the wrong variant.
 */
record PlainForward(DiTConfig config, double eps, int frequencyDivisor, String gelu) {
    static PlainForward right(DiTConfig config) {
        return new PlainForward(config, 1e-6, 128, "tanh");
    }

    Tensor apply(Map<String, Tensor> w, Tensor x, Tensor t, Tensor y) {
        int p = config.patchSize(), d = config.hiddenSize();
        long n = x.size(0), c = config.inChannels(), h = config.inputHeight() / p, v = config.inputWidth() / p;
        Tensor patches = x.reshape(n, c, h, p, v, p).permute(0, 2, 4, 1, 3, 5).reshape(n, h * v, c * p * p);
        Tensor tokens = torch.linear(
                        patches, w.get("x_embedder.proj.weight").reshape(d, c * p * p), w.get("x_embedder.proj.bias"))
                .add(w.get("pos_embed"));
        Tensor time = linear(
                w,
                "t_embedder.mlp.2",
                torch.silu(linear(w, "t_embedder.mlp.0", sinusoids(t).to(x.scalar_type()))));
        Tensor cond =
                torch.silu(time.add(w.get("y_embedder.embedding_table.weight").index_select(0, y)));
        for (int i = 0; i < config.depth(); i++) {
            String block = "blocks." + i + ".";
            TensorVector m =
                    linear(w, block + "adaLN_modulation.1", cond).unsqueeze(1).chunk(6, 2);
            tokens = tokens.add(
                    attention(w, block, modulate(tokens, m.get(0), m.get(1))).mul(m.get(2)));
            Tensor hidden = torch.gelu(linear(w, block + "mlp.fc1", modulate(tokens, m.get(3), m.get(4))), gelu);
            tokens = tokens.add(linear(w, block + "mlp.fc2", hidden).mul(m.get(5)));
        }
        TensorVector m =
                linear(w, "final_layer.adaLN_modulation.1", cond).unsqueeze(1).chunk(2, 2);
        Tensor out = linear(w, "final_layer.linear", modulate(tokens, m.get(0), m.get(1)));
        long o = config.outChannels();
        return out.reshape(n, h, v, p, p, o).permute(0, 5, 1, 3, 2, 4).reshape(n, o, h * p, v * p);
    }

    private Tensor sinusoids(Tensor t) {
        float[] times = Tensors.toFloats(t), values = new float[times.length * 256];
        for (int i = 0; i < times.length; i++)
            for (int k = 0; k < 128; k++) {
                float frequency = (float) Math.exp((float) (-Math.log(10000) * k) / frequencyDivisor);
                values[i * 256 + k] = (float) Math.cos(times[i] * frequency);
                values[i * 256 + 128 + k] = (float) Math.sin(times[i] * frequency);
            }
        return Tensors.of(values, times.length, 256);
    }

    private Tensor attention(Map<String, Tensor> w, String block, Tensor x) {
        long n = x.size(0), length = x.size(1), heads = config.numHeads(), width = config.hiddenSize() / heads;
        Tensor[] qkv = new Tensor[3];
        Tensor projected = linear(w, block + "attn.qkv", x);
        for (int i = 0; i < 3; i++)
            qkv[i] = projected
                    .narrow(2, i * heads * width, heads * width)
                    .reshape(n, length, heads, width)
                    .transpose(1, 2);
        Tensor scores = torch.matmul(qkv[0], qkv[1].transpose(2, 3)).div(new Scalar(Math.sqrt(width)));
        Tensor mixed =
                torch.matmul(torch.softmax(scores, 3), qkv[2]).transpose(1, 2).reshape(n, length, heads * width);
        return linear(w, block + "attn.proj", mixed);
    }

    private Tensor modulate(Tensor x, Tensor shift, Tensor scale) {
        Tensor normed =
                torch.layer_norm(x, new long[] {x.size(2)}, new TensorOptional(), new TensorOptional(), eps, true);
        return normed.mul(scale.add(new Scalar(1))).add(shift);
    }

    private static Tensor linear(Map<String, Tensor> w, String name, Tensor x) {
        return torch.linear(x, w.get(name + ".weight"), w.get(name + ".bias"));
    }
}
