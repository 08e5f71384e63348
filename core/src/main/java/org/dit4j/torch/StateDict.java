package org.dit4j.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.StringTensorDictItem;
import org.bytedeco.pytorch.Tensor;

/** The parameters and buffers of a module by their checkpoint names, in registration order. */
public final class StateDict {
    private StateDict() {}

    /**
     * Name → parameter or buffer, in the order of Python's {@code state_dict()} for modules without buffers of their own (parameters first,
     * then buffers). The tensors share the module's storage and belong to the scope around this call.
     */
    public static Map<String, Tensor> of(Module module) {
        Map<String, Tensor> state = new LinkedHashMap<>();
        addAll(state, module.named_parameters(true));
        addAll(state, module.named_buffers(true));
        return state;
    }

    private static void addAll(Map<String, Tensor> state, StringTensorDict tensors) {
        for (long i = 0; i < tensors.size(); i++) {
            StringTensorDictItem item = tensors.get(i);
            // value() points into the dict; a handle of its own outlives it
            state.put(item.key().getString(), new Tensor(item.value()));
        }
    }

    /**
     * Copies {@code source} into the module's parameters, converting dtype and device. Every name must be there on both sides with the
     * same shape.
     *
     * @throws IllegalArgumentException naming every missing and unexpected key and every wrong shape; nothing is copied then
     */
    public static void load(Module module, Map<String, Tensor> source) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> target = of(module);
            requireSameKeys(target, source);
            target.forEach((key, tensor) -> tensor.copy_(source.get(key)));
        }
    }

    /**
     * Makes {@code source} the module's parameters, on the CPU, in the module's dtype. A tensor that is there, has this dtype, is contiguous and
     * alone in its memory is taken as it is; any other is copied.
     *
     * @throws IllegalArgumentException as {@link #load}; nothing is changed then
     */
    static void adopt(Module module, Map<String, Tensor> source) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> target = of(module);
            requireSameKeys(target, source);
            Set<Long> taken = new HashSet<>();
            target.forEach((key, tensor) -> {
                Tensor given = source.get(key).detach();
                boolean alone = given.is_cpu()
                        && given.is_contiguous()
                        && given.storage().nbytes() == given.nbytes()
                        && Tensors.dtype(given) == Tensors.dtype(tensor)
                        && taken.add(given.data_ptr().address());
                tensor.set_data(
                        alone
                                ? given
                                : Tensors.empty(Tensors.dtype(tensor), given.shape())
                                        .copy_(given));
            });
        }
    }

    private static void requireSameKeys(Map<String, Tensor> target, Map<String, Tensor> source) {
        List<String> problems = new ArrayList<>();
        target.forEach((key, tensor) -> {
            Tensor given = source.get(key);
            if (given == null) problems.add("missing " + key + " " + Tensors.shape(tensor));
            else if (!Arrays.equals(given.shape(), tensor.shape()))
                problems.add(key + " is " + Tensors.shape(given) + ", the model needs " + Tensors.shape(tensor));
        });
        source.forEach((key, tensor) -> {
            if (!target.containsKey(key)) problems.add("unexpected " + key + " " + Tensors.shape(tensor));
        });
        if (problems.isEmpty()) return;
        int shown = Math.min(problems.size(), 12);
        String rest = problems.size() > shown ? "; and " + (problems.size() - shown) + " more" : "";
        throw new IllegalArgumentException(
                "weights do not fit the model: " + String.join("; ", problems.subList(0, shown)) + rest);
    }
}
