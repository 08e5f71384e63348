package org.dit4j.cuda;

import java.util.Optional;
import java.util.function.Supplier;
import org.dit4j.kernels.FusedKernels;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.kernels.Kernels;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Offers the kernels of this package where there is a card that runs them. */
public final class CudaProvider implements KernelLookup.Provider {
    private static final Logger LOGGER = LoggerFactory.getLogger(CudaProvider.class);

    @Override
    public Optional<Kernels> find(boolean cuda) {
        return cuda ? tried(CudaKernels::new) : Optional.empty();
    }

    @Override
    public Optional<FusedKernels> findFused(boolean cuda) {
        return cuda ? tried(CudaFusedKernels::new) : Optional.empty();
    }

    private static <K> Optional<K> tried(Supplier<K> make) {
        try {
            return Optional.of(make.get());
        } catch (IllegalStateException | LinkageError e) {
            LOGGER.warn("LibTorch's plain kernels are used, which are slower: {}", e.getMessage());
            return Optional.empty();
        }
    }
}
