package org.dit4j.eval;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.named_buffer_iterator;
import org.bytedeco.pytorch.named_buffer_list;
import org.bytedeco.pytorch.named_parameter_iterator;
import org.bytedeco.pytorch.named_parameter_list;
import org.dit4j.io.FormatException;
import org.dit4j.torch.Backend;

/** Archives of {@code torch.jit.save}: programs of tensors, without Python, which LibTorch loads. */
final class TorchScript {
    private TorchScript() {}

    /** The module, in evaluation mode, on the CPU; the caller closes it. */
    static JitModule load(Path file) throws IOException {
        Backend.load();
        try {
            JitModule module = torch.load(file.toString(), new DeviceOptional(Backend.device("cpu")), false);
            module.eval();
            return module;
        } catch (RuntimeException e) {
            throw new FormatException(
                    file,
                    "no TorchScript module that LibTorch loads: "
                            + e.getMessage().lines().findFirst().orElse("") + "; write one with torch.jit.save",
                    e);
        }
    }

    /** Parameters and buffers by name, in the scope around the call. */
    static Map<String, Tensor> tensors(Path file) throws IOException {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        JitModule module = load(file);
        named_parameter_list parameters = module.named_parameters(true);
        for (named_parameter_iterator at = parameters.begin(); at.notEquals(parameters.end()); at.increment())
            tensors.put(at.access().name().getString(), new Tensor(at.access().value()));
        named_buffer_list buffers = module.named_buffers(true);
        for (named_buffer_iterator at = buffers.begin(); at.notEquals(buffers.end()); at.increment())
            tensors.put(at.access().name().getString(), new Tensor(at.access().value()));
        return tensors;
    }
}
