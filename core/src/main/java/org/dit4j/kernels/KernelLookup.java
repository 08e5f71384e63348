package org.dit4j.kernels;

import java.util.Optional;
import java.util.ServiceLoader;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the fastest {@link Kernels} for a kind of device, once in the life of the process: those of the first {@link Provider} on the class
 * path that has some, else {@link AtenKernels}. {@code -Ddit4j.kernels=aten} takes those in any case.
 */
public final class KernelLookup {
    private static final Logger LOGGER = LoggerFactory.getLogger(KernelLookup.class);
    private static final String PROPERTY = "dit4j.kernels", PLAIN = "aten";

    /** Who has faster kernels; found by {@link ServiceLoader}. */
    public interface Provider {
        /** Kernels for CUDA or for the CPU, if this machine can run them; a reason why not is this method's to log. */
        Optional<Kernels> find(boolean cuda);

        /** Kernels for the fused trunk, as {@link #find}. */
        default Optional<FusedKernels> findFused(boolean cuda) {
            return Optional.empty();
        }
    }

    private static final class Cpu {
        static final Kernels FOUND = find(false);
        static final FusedKernels FUSED = findFused(false);
    }

    private static final class Cuda {
        static final Kernels FOUND = find(true);
        static final FusedKernels FUSED = findFused(true);
    }

    private KernelLookup() {}

    /** For what is computed with this tensor. */
    public static Kernels of(Tensor tensor) {
        return tensor.is_cuda() ? Cuda.FOUND : Cpu.FOUND;
    }

    /** For what is computed on this device. */
    public static Kernels of(Device device) {
        return device.is_cuda() ? Cuda.FOUND : Cpu.FOUND;
    }

    /** For a fused trunk on this device; {@link AtenFusedKernels} where there are no faster ones. */
    public static FusedKernels fusedOf(Device device) {
        return device.is_cuda() ? Cuda.FUSED : Cpu.FUSED;
    }

    private static FusedKernels findFused(boolean cuda) {
        if (System.getProperty(PROPERTY, "").isEmpty())
            for (Provider provider : ServiceLoader.load(Provider.class, KernelLookup.class.getClassLoader())) {
                Optional<FusedKernels> found = provider.findFused(cuda);
                if (found.isPresent()) return found.get();
            }
        return new AtenFusedKernels();
    }

    private static Kernels find(boolean cuda) {
        return find(
                cuda,
                System.getProperty(PROPERTY, ""),
                ServiceLoader.load(Provider.class, KernelLookup.class.getClassLoader()));
    }

    static Kernels find(boolean cuda, String asked, Iterable<Provider> providers) {
        if (!asked.isEmpty() && !asked.equals(PLAIN))
            throw new IllegalArgumentException("-D" + PROPERTY + "=" + asked + "; only " + PLAIN
                    + " can be asked for, which is the plain kernels");
        if (asked.isEmpty())
            for (Provider provider : providers) {
                Optional<Kernels> found = provider.find(cuda);
                if (found.isEmpty()) continue;
                LOGGER.info(
                        "kernels on {}: {}",
                        cuda ? "CUDA" : "the CPU",
                        found.get().name());
                return found.get();
            }
        return new AtenKernels();
    }
}
