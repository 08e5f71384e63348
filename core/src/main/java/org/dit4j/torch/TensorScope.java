package org.dit4j.torch;

import java.util.function.Supplier;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;

/**
 * Frees, when closed, every native object that this thread made since it was opened. One per training step, solver step or decoded batch;
 * scopes nest, and each thread has its own.
 *
 * <pre>{@code
 * try (TensorScope step = new TensorScope()) {
 *     …
 * }
 * }</pre>
 */
public final class TensorScope implements AutoCloseable {
    static {
        Backend.configure();
    }

    private final PointerScope scope;

    /** Opens a scope on this thread. */
    public TensorScope() {
        Backend.load();
        scope = new PointerScope();
    }

    /**
     * What {@code body} makes is freed, but for its result, which belongs to the scope around this call as if it had been made there, or to
     * the caller where there is none.
     */
    public static <P extends Pointer> P local(Supplier<P> body) {
        P result;
        try (TensorScope scope = new TensorScope()) {
            result = body.get();
            if (result != null) result.retainReference();
        }
        handToOuterScope(result);
        return result;
    }

    /** As {@link #local} for several results, any of which may be null. */
    public static <P extends Pointer> P[] localAll(Supplier<P[]> body) {
        P[] results;
        try (TensorScope scope = new TensorScope()) {
            results = body.get();
            for (P result : results) if (result != null) result.retainReference();
        }
        for (P result : results) handToOuterScope(result);
        return results;
    }

    private static void handToOuterScope(Pointer result) {
        PointerScope outer = PointerScope.getInnerScope();
        if (outer == null || result == null) return;
        outer.attach(result);
        result.releaseReference();
    }

    /** As {@link #local}, but the result is the caller's to close, whatever scopes are open. */
    public static <P extends Pointer> P keeping(Supplier<P> body) {
        try (TensorScope scope = new TensorScope()) {
            return detached(body.get());
        }
    }

    /** Takes a native object out of the reach of every open scope: the caller closes it. */
    public static <P extends Pointer> P detached(P pointer) {
        pointer.retainReference();
        return pointer;
    }

    /**
     * Ends the scope's time as this thread's innermost one, but frees nothing until {@link #close}: for what lives as long as its owner, such
     * as the layers of a network, which JavaCPP would leave to the garbage collector.
     */
    public void suspend() {
        scope.extend().close();
    }

    /** Any thread may close a suspended scope. */
    @Override
    public void close() {
        scope.close();
    }
}
