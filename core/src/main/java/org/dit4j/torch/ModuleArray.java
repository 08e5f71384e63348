package org.dit4j.torch;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.ModuleListImpl;

/**
 * Submodules "name.0", "name.1", … of a module, and a Java list to loop over: LibTorch gives children back as plain modules, never as the
 * Java class that they are.
 */
public final class ModuleArray<M extends Module> implements Iterable<M> {
    private final Module parent;
    private final List<M> modules = new ArrayList<>();

    /** Registers an empty list called {@code name} in {@code owner}. */
    public ModuleArray(Module owner, String name) {
        // LibTorch's own class: of a Module made here, LibTorch calls the Java half (to, train, …), which is garbage
        // once nobody holds it
        parent = owner.register_module(name, new ModuleListImpl());
    }

    /** Appends a module under the next number. */
    public M add(M module) {
        return put(Integer.toString(modules.size()), module);
    }

    /** Appends a module under a name of its own, for lists whose numbers have gaps (activations have no parameters). */
    public M put(String name, M module) {
        M registered = parent.register_module(name, module);
        modules.add(registered);
        return registered;
    }

    public M get(int index) {
        return modules.get(index);
    }

    public int size() {
        return modules.size();
    }

    @Override
    public Iterator<M> iterator() {
        return modules.iterator();
    }
}
