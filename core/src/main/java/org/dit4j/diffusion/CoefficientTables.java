package org.dit4j.diffusion;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Every {@link Coefficient} in float64 on the host, and in float32 on each device where one was asked for. */
final class CoefficientTables {
    private final Map<Coefficient, double[]> tables = new EnumMap<>(Coefficient.class);
    private final int length;

    // uploaded once, so that no step waits for a copy; a few kilobytes, freed with this object by the garbage collector
    private final Map<Integer, Tensor> uploaded = new ConcurrentHashMap<>();

    /** Tables of the diffusion that visits only {@code timesteps} of the one with {@code originalBetas}. */
    CoefficientTables(double[] originalBetas, int[] timesteps) {
        length = timesteps.length;
        double[] betas = respaced(originalBetas, timesteps);
        double[] alphaCumprod = cumulativeProduct(betas);
        double[] previous = fill(t -> t == 0 ? 1 : alphaCumprod[t - 1]);
        double[] posteriorVariance = fill(t -> betas[t] * (1 - previous[t]) / (1 - alphaCumprod[t]));
        double secondOrBeta = length > 1 ? posteriorVariance[1] : betas[0];

        put(Coefficient.ORIGINAL_TIMESTEP, t -> timesteps[t]);
        put(Coefficient.BETA, t -> betas[t]);
        put(Coefficient.LOG_BETA, t -> Math.log(betas[t]));
        put(Coefficient.ALPHA_CUMPROD, t -> alphaCumprod[t]);
        put(Coefficient.ALPHA_CUMPROD_PREVIOUS, t -> previous[t]);
        put(Coefficient.ALPHA_CUMPROD_NEXT, t -> t + 1 < length ? alphaCumprod[t + 1] : 0);
        put(Coefficient.SQRT_ALPHA_CUMPROD, t -> Math.sqrt(alphaCumprod[t]));
        put(Coefficient.SQRT_ONE_MINUS_ALPHA_CUMPROD, t -> Math.sqrt(1 - alphaCumprod[t]));
        put(Coefficient.LOG_ONE_MINUS_ALPHA_CUMPROD, t -> Math.log(1 - alphaCumprod[t]));
        put(Coefficient.SQRT_RECIP_ALPHA_CUMPROD, t -> Math.sqrt(1 / alphaCumprod[t]));
        put(Coefficient.SQRT_RECIPM1_ALPHA_CUMPROD, t -> Math.sqrt(1 / alphaCumprod[t] - 1));
        put(Coefficient.POSTERIOR_VARIANCE, t -> posteriorVariance[t]);
        put(Coefficient.POSTERIOR_LOG_VARIANCE_CLIPPED, t -> Math.log(t == 0 ? secondOrBeta : posteriorVariance[t]));
        put(Coefficient.POSTERIOR_MEAN_X0, t -> betas[t] * Math.sqrt(previous[t]) / (1 - alphaCumprod[t]));
        put(Coefficient.POSTERIOR_MEAN_XT, t -> (1 - previous[t]) * Math.sqrt(1 - betas[t]) / (1 - alphaCumprod[t]));
        put(Coefficient.LARGE_VARIANCE, t -> t == 0 ? secondOrBeta : betas[t]);
        put(Coefficient.LARGE_LOG_VARIANCE, t -> Math.log(t == 0 ? secondOrBeta : betas[t]));
    }

    private static double[] respaced(double[] originalBetas, int[] timesteps) {
        double[] alphaCumprod = cumulativeProduct(originalBetas);
        double[] betas = new double[timesteps.length];
        double last = 1;
        for (int i = 0; i < timesteps.length; i++) {
            betas[i] = 1 - alphaCumprod[timesteps[i]] / last;
            last = alphaCumprod[timesteps[i]];
        }
        return NoiseSchedule.requireBetas(betas);
    }

    static double[] cumulativeProduct(double[] betas) {
        double[] products = new double[betas.length];
        double product = 1;
        for (int t = 0; t < betas.length; t++) products[t] = product *= 1 - betas[t];
        return products;
    }

    private double[] fill(IntToDoubleFunction value) {
        return IntStream.range(0, length).mapToDouble(value).toArray();
    }

    private void put(Coefficient coefficient, IntToDoubleFunction value) {
        tables.put(coefficient, fill(value));
    }

    /** (T), the table itself. */
    double[] of(Coefficient coefficient) {
        return tables.get(coefficient);
    }

    /** (N) int64 timesteps → (N) float32 on their device, without waiting for it. */
    Tensor at(Coefficient coefficient, Tensor timesteps) {
        return onDeviceOf(timesteps).select(0, coefficient.ordinal()).index_select(0, timesteps);
    }

    private Tensor onDeviceOf(Tensor timesteps) {
        Device device = timesteps.device();
        int key = device.type().value << 8 | device.index() & 0xFF;
        return uploaded.computeIfAbsent(key, absent -> TensorScope.keeping(() -> upload(device)));
    }

    private Tensor upload(Device device) {
        double[] all = Arrays.stream(Coefficient.values())
                .flatMapToDouble(coefficient -> Arrays.stream(tables.get(coefficient)))
                .toArray();
        Tensor host = Tensors.of(all, Coefficient.values().length, length).to(ScalarType.Float);
        return Tensors.to(host, device);
    }
}
