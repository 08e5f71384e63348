package org.dit4j.kernels;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.Type;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;

/** Operators of LibTorch that have no Java method, reached through its dispatcher. */
public final class Ops {
    private static final Map<String, OperatorHandle> HANDLES = new ConcurrentHashMap<>();

    static {
        Backend.configure();
    }

    private Ops() {}

    /**
     * {@code aten::_fused_adamw_.tensor_lr}: one step of AdamW over one flat buffer, in place, on CPU and CUDA. All tensors have the same
     * size and dtype but the scalars.
     *
     * @param step a float32 scalar that has been raised to the number of this step, from 1
     * @param skip a float32 scalar; where it is 1, nothing happens
     * @param learningRate a scalar, float64 on the CPU, float32 on CUDA
     */
    static void fusedAdamW(
            Tensor parameters,
            Tensor gradients,
            Tensor firstMoments,
            Tensor secondMoments,
            Tensor step,
            Tensor skip,
            Tensor learningRate,
            AdamW settings) {
        try (TensorScope scope = new TensorScope()) {
            Type.TypePtr tensor = new Type.TypePtr(TensorType.get());
            IValueVector stack = new IValueVector(
                    list(tensor, parameters),
                    list(tensor, gradients),
                    list(tensor, firstMoments),
                    list(tensor, secondMoments),
                    list(tensor),
                    list(tensor, step),
                    new IValue(learningRate),
                    new IValue(settings.beta1()),
                    new IValue(settings.beta2()),
                    new IValue(settings.weightDecay()),
                    new IValue(settings.eps()),
                    new IValue(false), // amsgrad
                    new IValue(false), // maximize
                    new IValue(), // grad_scale
                    new IValue(skip)); // found_inf
            call("aten::_fused_adamw_", "tensor_lr", stack);
        }
    }

    /**
     * Calls an operator by its name.
     *
     * @param overload empty where there is none
     * @param stack the arguments in the order of its schema; then what it returns
     */
    public static void call(String name, String overload, IValueVector stack) {
        handle(name, overload).callBoxed(stack);
    }

    private static IValue list(Type.TypePtr type, Tensor... tensors) {
        GenericList list = new GenericList(type);
        for (Tensor tensor : tensors) list.push_back(new IValue(tensor));
        return new IValue(list);
    }

    private static OperatorHandle handle(String name, String overload) {
        Backend.load();
        return HANDLES.computeIfAbsent(
                name + "." + overload,
                key -> TensorScope.keeping(() -> Dispatcher.singleton().findSchemaOrThrow(name, overload)));
    }
}
