package org.dit4j.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.cuda.cudart.CUmod_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.nvrtc;
import org.bytedeco.cuda.nvrtc._nvrtcProgram;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.SizeTPointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch_cuda;
import org.dit4j.torch.TensorScope;

/** A source of kernels, compiled by NVRTC for the current card, and their launches on LibTorch's current stream. */
final class CudaModule {
    private static final int MAX_ARGUMENTS = 32, ARGUMENT_BYTES = 8;

    /** Arguments of a launch, eight bytes each, and their addresses; the driver copies them at the launch. */
    private static final class Arguments {
        final BytePointer values;
        final PointerPointer<Pointer> addresses;

        Arguments() {
            cudart.cudaSetDevice(
                    torch_cuda.current_device()); // a thread that has called LibTorch's CPU side only has no context
            values = TensorScope.keeping(() -> new BytePointer((long) MAX_ARGUMENTS * ARGUMENT_BYTES));
            addresses = TensorScope.keeping(() -> new PointerPointer<>(MAX_ARGUMENTS));
            try (TensorScope scope = new TensorScope()) {
                for (int i = 0; i < MAX_ARGUMENTS; i++) addresses.put(i, values.getPointer((long) i * ARGUMENT_BYTES));
            }
        }
    }

    private static final ThreadLocal<Arguments> ARGUMENTS = ThreadLocal.withInitial(Arguments::new);

    private static final Map<List<String>, CudaModule> MODULES = new HashMap<>();

    private final String name;
    private final CUmod_st module;
    private final Map<String, CUfunc_st> functions = new HashMap<>();

    /**
     * Compiled the first time that it is asked for.
     *
     * @param name of the resource beside the kernels' interface
     * @param options of the compiler, such as {@code -DD=384}
     * @throws IllegalStateException with the compiler's first lines, if it does not compile or load
     */
    static synchronized CudaModule of(String name, String... options) {
        List<String> key = new ArrayList<>(List.of(options));
        key.add(name);
        return MODULES.computeIfAbsent(key, made -> new CudaModule(name, options));
    }

    private CudaModule(String name, String... options) {
        this.name = name;
        byte[] image = compile(name, source(name), options);
        module = TensorScope.keeping(CUmod_st::new);
        try (TensorScope scope = new TensorScope()) {
            ARGUMENTS.get(); // binds the card's context to this thread
            Cuda.check(cudart.cuModuleLoadData(module, new BytePointer(image)), "loading the kernels of " + name);
        }
    }

    private static String source(String name) {
        try (InputStream in = org.dit4j.kernels.FusedKernels.class.getResourceAsStream(name)) {
            if (in == null)
                throw new IllegalStateException("the resource " + name + " is missing from the jar of dit4j");
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] compile(String name, String source, String[] options) {
        try (TensorScope scope = new TensorScope()) {
            var properties = torch_cuda.getCurrentDeviceProperties();
            PointerPointer<Pointer> arguments = new PointerPointer<>(options.length + 1L);
            BytePointer architecture =
                    new BytePointer("--gpu-architecture=sm_" + properties.major() + properties.minor());
            arguments.put(0, architecture);
            for (int i = 0; i < options.length; i++) arguments.put(i + 1L, new BytePointer(options[i]));
            _nvrtcProgram program = new _nvrtcProgram();
            Cuda.check(
                    nvrtc.nvrtcCreateProgram(
                            program, new BytePointer(source), new BytePointer(name), 0, (PointerPointer) null, null),
                    "NVRTC with " + name);
            try {
                if (nvrtc.nvrtcCompileProgram(program, options.length + 1, arguments) != 0)
                    throw new IllegalStateException("NVRTC does not compile " + name + ": " + log(program));
                SizeTPointer size = new SizeTPointer(1);
                Cuda.check(nvrtc.nvrtcGetCUBINSize(program, size), "NVRTC with " + name);
                byte[] image = new byte[Math.toIntExact(size.get())];
                Cuda.check(nvrtc.nvrtcGetCUBIN(program, image), "NVRTC with " + name);
                return image;
            } finally {
                nvrtc.nvrtcDestroyProgram(program);
            }
        }
    }

    private static String log(_nvrtcProgram program) {
        SizeTPointer size = new SizeTPointer(1);
        nvrtc.nvrtcGetProgramLogSize(program, size);
        byte[] log = new byte[Math.toIntExact(size.get())];
        nvrtc.nvrtcGetProgramLog(program, log);
        return new String(log, StandardCharsets.UTF_8).strip().lines().limit(6).reduce("", (a, b) -> a + "\n" + b);
    }

    /**
     * Starts a kernel on LibTorch's current stream.
     *
     * @param arguments tensors (their addresses), or null for none; Integer, Long, Float and Double as the kernel takes them
     */
    void launch(String kernel, long gridX, long gridY, long gridZ, int threads, Object... arguments) {
        CUfunc_st function = function(kernel);
        Arguments here = ARGUMENTS.get();
        for (int i = 0; i < arguments.length; i++) put(here.values, (long) i * ARGUMENT_BYTES, arguments[i]);
        try (TensorScope scope = new TensorScope()) {
            CUstream_st stream = Cuda.stream();
            Cuda.check(
                    cudart.cuLaunchKernel(
                            function,
                            Math.toIntExact(gridX),
                            Math.toIntExact(gridY),
                            Math.toIntExact(gridZ),
                            threads,
                            1,
                            1,
                            0,
                            stream,
                            here.addresses,
                            null),
                    kernel);
        }
    }

    private static void put(BytePointer values, long at, Object argument) {
        if (argument == null) values.putLong(at, 0);
        else if (argument instanceof Tensor tensor) values.putLong(at, Cuda.address(tensor));
        else if (argument instanceof Integer number) values.putInt(at, number);
        else if (argument instanceof Long number) values.putLong(at, number);
        else if (argument instanceof Float number) values.putFloat(at, number);
        else if (argument instanceof Double number) values.putDouble(at, number);
        else throw new IllegalArgumentException("a kernel takes no " + argument.getClass());
    }

    private synchronized CUfunc_st function(String kernel) {
        return functions.computeIfAbsent(kernel, key -> {
            CUfunc_st function = TensorScope.keeping(CUfunc_st::new);
            Cuda.check(cudart.cuModuleGetFunction(function, module, key), key + " in " + name);
            return function;
        });
    }
}
