package org.dit4j.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Tensors;

/** Whether weights are those of a network. */
final class WeightCheck {
    private static final int SHOWN = 8;

    private WeightCheck() {}

    /** What is missing, of another shape, or unexpected; {@code ignored} names may be there. */
    static List<String> problems(Map<String, long[]> expected, Map<String, Tensor> weights, Predicate<String> ignored) {
        List<String> problems = new ArrayList<>();
        expected.forEach((name, shape) -> {
            Tensor given = weights.get(name);
            if (given == null) problems.add("missing " + name + " " + Arrays.toString(shape));
            else if (!Arrays.equals(given.shape(), shape))
                problems.add(name + " is " + Tensors.shape(given) + ", the network needs " + Arrays.toString(shape));
        });
        weights.forEach((name, tensor) -> {
            if (!expected.containsKey(name) && !ignored.test(name))
                problems.add("unexpected " + name + " " + Tensors.shape(tensor));
        });
        return problems;
    }

    /** @throws IllegalArgumentException naming the problems, if there are any */
    static void require(List<String> problems, String what) {
        if (problems.isEmpty()) return;
        String rest = problems.size() > SHOWN ? "; and " + (problems.size() - SHOWN) + " more" : "";
        throw new IllegalArgumentException(what + ": "
                + String.join("; ", problems.subList(0, Math.min(SHOWN, problems.size()))) + rest);
    }
}
