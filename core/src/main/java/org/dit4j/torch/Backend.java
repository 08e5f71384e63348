package org.dit4j.torch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.Context;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.Float32Backend;
import org.bytedeco.pytorch.global.torch.Float32Op;
import org.bytedeco.pytorch.global.torch.Float32Precision;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loads LibTorch once, and owns every process-wide switch of JavaCPP and LibTorch: memory limits, thread pools, matrix precision,
 * the choice of the device. Whoever uses dit4j needs no JVM flags and no environment variables because of this class.
 */
public final class Backend {
    private static final Logger log = LoggerFactory.getLogger(Backend.class);
    private static final String MAX_PHYSICAL_BYTES = "org.bytedeco.javacpp.maxPhysicalBytes";
    private static final String MAX_BYTES = "org.bytedeco.javacpp.maxBytes";

    private static final Map<String, Device> DEVICES = new HashMap<>();

    private static boolean loaded;
    private static boolean productsByOneDnn;

    // JavaCPP reads these two once, when its class Pointer is initialised. With its defaults every tensor reads the
    // process's memory
    // under a lock, and a process above four times the Java heap dies of an OutOfMemoryError although memory is free.
    static {
        if (System.getProperty(MAX_PHYSICAL_BYTES) == null) System.setProperty(MAX_PHYSICAL_BYTES, "0");
        if (System.getProperty(MAX_BYTES) == null) System.setProperty(MAX_BYTES, "0");
    }

    private Backend() {}

    /**
     * Compares the native libraries that are unpacked in JavaCPP's cache with the jars that they are from, by checksum, and replaces those
     * that differ. {@link #load} looks at sizes and times only, as this takes a second.
     *
     * @return the files that were replaced, relative to the cache; none if LibTorch is loaded already
     * @throws IllegalStateException if one cannot be replaced
     */
    public static synchronized List<Path> repairLibraries() {
        try {
            return loaded ? List.of() : NativeCache.repair();
        } catch (IOException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
    }

    /**
     * Sets JavaCPP's memory limits; loads nothing. Plain classes through which a program enters dit4j (configurations, readers) call
     * this in their static initialiser, so that it happens before any class of JavaCPP is touched.
     */
    public static void configure() {
        // the static initialiser above has done it
    }

    /**
     * Loads LibTorch and tunes its threads; does nothing the second time. The first time on a machine the native libraries are unpacked
     * into JavaCPP's cache: {@code ~/.javacpp/cache}, or the folder that the property {@code org.bytedeco.javacpp.cachedir} names. They
     * are whole or not there, whatever kills the process, and however many start at once; a program that touches a class of LibTorch
     * before it has called this or made anything of dit4j leaves that to JavaCPP, which unpacks in place.
     *
     * @throws IllegalStateException if the native libraries of this platform are not on the class path or do not load, or the process may not start
     *     the threads that they need
     */
    public static synchronized void load() {
        if (loaded) return;
        // before any class of JavaCPP, of which Pointer alone unpacks a library where JavaCPP likes
        try (NativeCache cache = NativeCache.open()) {
            if (Pointer.maxPhysicalBytes() > 0)
                log.warn(
                        "JavaCPP was used before dit4j, so its limit of {} MiB on the whole process stands;"
                                + " call Backend.configure() first, or start Java with -D{}=0 -D{}=0",
                        Pointer.maxPhysicalBytes() >> 20,
                        MAX_PHYSICAL_BYTES,
                        MAX_BYTES);
            Loader.load(torch.class);
            if (cache != null) cache.complete();
        } catch (IOException e) {
            throw new IllegalStateException(e.getMessage(), e);
        } catch (LinkageError e) {
            throw new IllegalStateException(
                    "LibTorch does not load on " + Loader.Detector.getPlatform() + ": " + e.getMessage()
                            + "; put its natives on the class path by building with -Ddit.platform=PLATFORM"
                            + " (linux-x86_64, linux-x86_64-gpu, macosx-arm64, macosx-x86_64, windows-x86_64, windows-x86_64-gpu)",
                    e);
        }
        requireThreads(2 * Runtime.getRuntime().availableProcessors());
        loaded = true;
        tuneThreads();
        // LibTorch lets convolutions drop to ten bits of mantissa (TF32) on CUDA unless told not to, but not products
        torch.globalContext().setAllowTF32CuDNN(false);
    }

    /**
     * This build of LibTorch multiplies matrices by OpenBLAS on OpenBLAS's own threads and does everything else on OpenMP's. Both pools
     * spin while they wait, and on few cores they starve each other: a forward pass takes up to fifteen times as long. So one pool must
     * go. Where oneDNN (which runs on OpenMP) multiplies float32 exactly, it gets the products and OpenBLAS one thread; elsewhere
     * OpenBLAS keeps its threads and OpenMP gets one.
     */
    private static void tuneThreads() {
        // LibTorch counts the machine's cores, Java those that this process may use
        int threads = Math.min(torch.get_num_threads(), Runtime.getRuntime().availableProcessors());
        torch.set_num_threads(threads);
        openblas.blas_set_num_threads(1);
        productsByOneDnn = routesExactProductsToOneDnn();
        if (productsByOneDnn) {
            log.debug("float32 products by oneDNN on {} threads", threads);
            return;
        }
        openblas.blas_set_num_threads(threads);
        torch.set_num_threads(1);
        log.debug("float32 products by OpenBLAS on {} threads", threads);
    }

    /** A native pool that gets too few threads waits for them for ever; Java says so where a limit on processes is reached. */
    private static void requireThreads(int count) {
        CountDownLatch tried = new CountDownLatch(1);
        try {
            for (int i = 0; i < count; i++) {
                Thread thread = new Thread(() -> {
                    try {
                        tried.await();
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                });
                thread.setDaemon(true);
                thread.start();
            }
        } catch (OutOfMemoryError e) {
            throw new IllegalStateException(
                    "LibTorch needs " + count
                            + " more threads, and this process may not start them; raise the limit on processes"
                            + " (ulimit -u, or that of the container)",
                    e);
        } finally {
            tried.countDown();
        }
    }

    /**
     * LibTorch sends float32 products to oneDNN only when asked for reduced precision. On processors without bf16 tiles (AMX) oneDNN then
     * still computes in full float32, on those with tiles it does not: so ask, and measure what comes back.
     */
    private static boolean routesExactProductsToOneDnn() {
        String capability = torch.get_cpu_capability().getString();
        if (!torch.hasMKLDNN() || !capability.startsWith("AVX512")) return false;
        Context context = torch.globalContext();
        context.setFloat32Precision(Float32Backend.MKLDNN, Float32Op.MATMUL, Float32Precision.BF16);
        if (productError(512) < 2e-6) return true;
        context.setFloat32Precision(Float32Backend.MKLDNN, Float32Op.MATMUL, Float32Precision.IEEE);
        return false;
    }

    /** Relative error of one size × size product against float64; float32 gives some 4e-7, bf16 some 2e-3. */
    private static double productError(int size) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor a = torch.randn(new long[] {size, size}, new GeneratorOptional(torch.make_generator_cpu(0)));
            Tensor exact = torch.matmul(a.to(ScalarType.Double), a.to(ScalarType.Double));
            Tensor error = torch.matmul(a, a).to(ScalarType.Double).sub(exact);
            return error.norm().item_double() / exact.norm().item_double();
        }
    }

    /** Threads that one operation may use; of LibTorch's two pools the one that {@link #load} chose. */
    public static void setNumThreads(int threads) {
        load();
        if (threads < 1) throw new IllegalArgumentException("threads is " + threads + "; at least 1");
        if (productsByOneDnn) torch.set_num_threads(threads);
        else openblas.blas_set_num_threads(threads);
    }

    /**
     * From here on the same input gives the same bits on CUDA in every run, for as long as the process lives; on the CPU it does anyway.
     * Somewhat slower. Operations for which LibTorch knows no such algorithm throw; dit4j uses none. Call it before the first
     * product on a CUDA device: cuBLAS reads its setting once.
     */
    public static void useDeterministicAlgorithms() {
        load();
        // without it LibTorch refuses every product; what the user has set stays
        torch.set_env("CUBLAS_WORKSPACE_CONFIG", ":4096:8", false);
        Context context = torch.globalContext();
        context.setDeterministicAlgorithms(true, false);
        context.setDeterministicCuDNN(true);
        context.setDeterministicFillUninitializedMemory(false); // nothing here reads memory that it did not write
    }

    /** Which library multiplies float32 matrices on the CPU, on how many threads, and for which vector instructions; for people. */
    public static String describe() {
        load();
        return (productsByOneDnn
                        ? "oneDNN on " + torch.get_num_threads()
                        : "OpenBLAS on " + openblas.blas_get_num_threads())
                + " threads, " + torch.get_cpu_capability().getString();
    }

    /** The CUDA that this LibTorch was built for, as CUDA counts: 13010 is 13.1; 0 for the CPU build. */
    public static long cudaVersion() {
        load();
        return Context.hasCUDART() ? Context.versionCUDART() : 0;
    }

    /** How many CUDA devices there are. */
    public static int cudaDevices() {
        return hasCuda() ? (int) torch.getNumGPUs() : 0;
    }

    /** Whether a CUDA device and the CUDA build of LibTorch are here. */
    public static boolean hasCuda() {
        load();
        return torch.cuda_is_available();
    }

    /**
     * The one place that chooses a device.
     *
     * @param name {@code cpu}, {@code cuda}, {@code cuda:1}, or {@code auto}: CUDA where there is one, else the CPU
     * @return a device that lives as long as the program; do not close it
     * @throws IllegalArgumentException if the name is none of these
     * @throws IllegalStateException if it names a CUDA device that is not there
     */
    public static Device device(String name) {
        String chosen = name.toLowerCase(Locale.ROOT);
        if (!chosen.matches("cpu|auto|cuda(:\\d{1,3})?"))
            throw new IllegalArgumentException(
                    "unknown device \"" + name + "\"; use cpu, cuda, cuda:N (cuda:1 is the second card) or auto");
        if (chosen.equals("auto")) chosen = hasCuda() ? "cuda" : "cpu";
        if (chosen.startsWith("cuda")) requireCuda(name, chosen);
        load();
        synchronized (DEVICES) {
            // retained: no scope that is open closes it
            return DEVICES.computeIfAbsent(chosen, key -> new Device(key).retainReference());
        }
    }

    private static void requireCuda(String name, String chosen) {
        if (!hasCuda())
            throw new IllegalStateException(
                    "device \"" + name + "\" is not here: "
                            + "no NVIDIA driver, or this is the CPU build of LibTorch; build with -Ddit.platform=linux-x86_64-gpu, or use --device cpu");
        int index = chosen.indexOf(':') < 0 ? 0 : Integer.parseInt(chosen.substring(5));
        long count = torch.getNumGPUs();
        if (index >= count)
            throw new IllegalStateException("device \"" + name + "\" is not here: this machine has " + count
                    + " CUDA device(s), numbered from 0");
    }
}
