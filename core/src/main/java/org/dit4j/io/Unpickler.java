package org.dit4j.io;

import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.TorchValues.Namespace;
import org.dit4j.io.TorchValues.TorchDevice;
import org.dit4j.io.TorchValues.Tuple;

/**
 * Reads the pickle programs that {@code torch.save} writes. No class is ever looked up and nothing of Python's is called: the few names
 * that make up weights are cases of a switch here, and what is made with any other name is {@link Made}, an inert note of that name and of
 * what it was given. It touches no native memory; a tensor comes out as a {@link View} of a {@link Storage} whose bytes are elsewhere in
 * the file. Time and memory are bounded by {@link #MAX_OPERATIONS}, {@link #MAX_OBJECTS} and {@link #MAX_WORK}, whatever the program says.
 */
final class Unpickler {
    private static final int MAX_OPERATIONS = 10_000_000, MAX_OBJECTS = 2_000_000, MAX_TENSORS = 100_000;
    private static final int MAX_DIMENSIONS = 64, MAX_INTEGER_BYTES = 1024, MAX_KEY_LENGTH = 10_000;
    /** Items and bytes copied by calls, which a program can repeat on the same memoized arguments. */
    private static final long MAX_WORK = 100_000_000;
    /** Keys of several types are not ordered, so that many of one hash would be searched one by one. */
    private static final int MAX_MIXED_KEYS = 256;

    private static final Object MARK = new Object();

    private final String name;
    private final InputStream in;
    private final long limit;
    private final Map<String, Storage> storages;

    private long position;
    private int objects, tensors;
    private long work, expandedBytes;
    private String dangerous;
    private final List<Object> stack = new ArrayList<>();
    private final List<Integer> marks = new ArrayList<>();
    private final Map<Integer, Object> memo = new HashMap<>();

    /** The memory behind tensors, {@code bytes} long; {@code elementBytes} is 1 where it is untyped. */
    record Storage(String key, long bytes, int elementBytes) {}

    /** What a persistent id stands for: a storage, or a part of it in very old files, as elements of a dtype; untyped if null. */
    private record TypedStorage(Storage storage, ScalarType dtype, long offset, long size) {}

    /** A tensor: elements of a storage. Everything is in elements, and within the storage. */
    record View(Storage storage, ScalarType dtype, long offset, List<Long> shape, List<Long> strides) {}

    /** A name of Python's that weights are made with. */
    record Global(String name) {}

    /** What BUILD can give attributes to, unlike a dict: a state dict's {@code _metadata}. */
    static final class OrderedDict extends LinkedHashMap<Object, Object> {
        private Object attributes;

        /** A dict as a rule; null if there are none. */
        Object attributes() {
            return attributes;
        }
    }

    /** What Python would have made of a name that is not known here, or that name itself. Equal to itself only, since it may hold itself. */
    static final class Made {
        private final String type;
        private final List<Object> arguments;
        private final Map<Object, Object> items = new LinkedHashMap<>();
        private Object state;

        Made(String type, List<Object> arguments) {
            this.type = type;
            this.arguments = arguments;
        }

        String type() {
            return type;
        }

        /** What it was called with. */
        List<Object> arguments() {
            return arguments;
        }

        /** What it was given: arguments by number, then items, then attributes. */
        Map<Object, Object> parts() {
            Map<Object, Object> parts = new LinkedHashMap<>();
            for (int i = 0; i < arguments.size(); i++) parts.put((long) i, arguments.get(i));
            parts.putAll(items);
            if (state instanceof Map<?, ?> attributes) parts.putAll(attributes);
            else if (state instanceof Tuple tuple)
                // attributes, and those in slots
                for (int i = 0; i < tuple.items().size(); i++) {
                    if (tuple.items().get(i) instanceof Map<?, ?> attributes) parts.putAll(attributes);
                    else if (tuple.items().get(i) != null)
                        parts.put("state." + i, tuple.items().get(i));
                }
            else if (state != null) parts.put("state", state);
            return parts;
        }
    }

    /**
     * @param name the file, for messages
     * @param in read to the end of one pickle and no further, if it is not buffered here
     * @param limit bytes that may be read
     * @param storages takes every storage by its key; shared by the pickles of a file
     */
    Unpickler(String name, InputStream in, long limit, Map<String, Storage> storages) {
        this.name = name;
        this.in = in;
        this.limit = limit;
        this.storages = storages;
    }

    /** Bytes read so far. */
    long position() {
        return position;
    }

    /** The first name in the pickle by which Python would run a program; null if there is none. */
    String dangerous() {
        return dangerous;
    }

    /** Runs to STOP. {@link Made}, Maps, Lists, Sets, {@link Tuple}, {@link Namespace}, {@link TorchDevice}, {@link View}, numbers and so on. */
    Object load() throws IOException {
        require(unsigned8() == 0x80, "no pickle of protocol 2 or later");
        int protocol = unsigned8();
        require(protocol >= 2 && protocol <= 5, "a pickle of the unknown protocol " + protocol);
        for (int operation = 0; operation < MAX_OPERATIONS; operation++) {
            int code = unsigned8();
            if (code == '.') {
                Object result = pop();
                require(stack.isEmpty(), "a pickle that leaves more than one object");
                return result;
            }
            run(code);
        }
        throw problem("a pickle of more than " + MAX_OPERATIONS + " operations");
    }

    private void run(int code) throws IOException {
        switch (code) {
            case 0x95 -> require(int64() >= 0, "a negative frame length"); // FRAME: only a hint for readers
            case '(' -> {
                marks.add(stack.size());
                stack.add(MARK);
            }
            case 'N' -> push(null);
            case 0x88 -> push(true);
            case 0x89 -> push(false);
            case 'K' -> push((long) unsigned8());
            case 'M' -> push((long) (unsigned8() | unsigned8() << 8));
            case 'J' -> push((long) int32());
            case 0x8a -> push(integer(unsigned8()));
            case 0x8b -> push(integer(int32()));
            case 'G' -> push(ByteBuffer.wrap(bytes(8)).getDouble());
            case 0x8c, 'U' -> push(text(unsigned8()));
            case 'X' -> push(text(unsigned32()));
            case 'T' -> push(text(int32()));
            case 0x8d -> push(text(int64()));
            case 'C' -> push(bytes(unsigned8()));
            case 'B' -> push(bytes(unsigned32()));
            case 0x8e -> push(bytes(int64()));
            case ']' -> push(new ArrayList<>());
            case '}' -> push(new LinkedHashMap<>());
            case 0x8f -> push(new LinkedHashSet<>());
            case ')' -> push(new Tuple(List.of()));
            case 0x85 -> push(tuple(popLast(1)));
            case 0x86 -> push(tuple(popLast(2)));
            case 0x87 -> push(tuple(popLast(3)));
            case 't' -> push(tuple(popToMark()));
            case 0x91 -> push(addAll(new LinkedHashSet<>(), popToMark()));
            case 'a' -> append(popLast(1));
            case 'e' -> append(popToMark());
            case 0x90 -> {
                List<Object> items = popToMark();
                if (top() instanceof Made made) append(made, items);
                else addAll(setOnTop(), items);
            }
            case 's' -> {
                List<Object> item = popLast(2);
                putAll(mapOnTop(), item);
            }
            case 'u' -> {
                List<Object> items = popToMark();
                putAll(mapOnTop(), items);
            }
            case 'q' -> memoize(unsigned8());
            case 'r' -> memoize(int32());
            case 0x94 -> memoize(memo.size());
            case 'h' -> recall(unsigned8());
            case 'j' -> recall(int32());
            case 'c' -> push(global(line(), line()));
            case 0x93 -> {
                List<Object> names = popLast(2);
                require(names.get(0) instanceof String && names.get(1) instanceof String, "a global without a name");
                push(global((String) names.get(0), (String) names.get(1)));
            }
            case 'Q' -> push(storage(pop()));
            case 'R' -> {
                Object arguments = pop(), callable = pop();
                push(call(callable, arguments));
            }
            case 0x81 -> {
                Object arguments = pop(), type = pop();
                push(newObject(type, arguments, null));
            }
            case 0x92 -> {
                Object keywords = pop(), arguments = pop(), type = pop();
                push(newObject(type, arguments, keywords));
            }
            case '0' -> { // Python takes back what it began of a tuple that holds itself
                if (!stack.isEmpty() && stack.get(stack.size() - 1) == MARK) popToMark();
                else pop();
            }
            case '1' -> popToMark();
            case '2' -> push(top());
            case 0x96 -> push(bytes(int64())); // a bytearray
            case 'b' -> {
                Object state = pop();
                build(state);
            }
            default ->
                throw problem(String.format("the pickle operation 0x%02x is not one that torch.save writes", code));
        }
    }

    // ---- the stack

    private void push(Object value) throws FormatException {
        require(++objects <= MAX_OBJECTS, "more than " + MAX_OBJECTS + " objects");
        stack.add(value);
    }

    private Object top() throws FormatException {
        require(!stack.isEmpty() && stack.get(stack.size() - 1) != MARK, "an operation without its operand");
        return stack.get(stack.size() - 1);
    }

    private Object pop() throws FormatException {
        Object value = top();
        stack.remove(stack.size() - 1);
        return value;
    }

    private List<Object> popLast(int count) throws FormatException {
        List<Object> items = new ArrayList<>();
        for (int i = 0; i < count; i++) items.add(0, pop());
        return items;
    }

    private List<Object> popToMark() throws FormatException {
        require(!marks.isEmpty(), "an operation without its mark");
        int mark = marks.remove(marks.size() - 1);
        List<Object> above = stack.subList(mark + 1, stack.size());
        List<Object> items = new ArrayList<>(above);
        above.clear();
        stack.remove(mark);
        return items;
    }

    private void memoize(int index) throws FormatException {
        require(++objects <= MAX_OBJECTS, "more than " + MAX_OBJECTS + " objects");
        memo.put(index, top());
    }

    private void recall(int index) throws FormatException {
        require(memo.containsKey(index), "nothing was memoized as " + Integer.toUnsignedString(index));
        stack.add(memo.get(index));
    }

    // ---- containers

    private static Tuple tuple(List<Object> items) {
        return new Tuple(items);
    }

    private void append(List<Object> items) throws FormatException {
        if (top() instanceof Made made) append(made, items);
        else listOnTop().addAll(items);
    }

    /** To a list or set of a class that is not known. */
    private static void append(Made made, List<Object> items) {
        for (Object item : items) made.items.put("item." + made.items.size(), item);
    }

    @SuppressWarnings("unchecked")
    private List<Object> listOnTop() throws FormatException {
        require(top() instanceof ArrayList, "an item is added to what is no list");
        return (ArrayList<Object>) top();
    }

    @SuppressWarnings("unchecked")
    private Set<Object> setOnTop() throws FormatException {
        require(top() instanceof LinkedHashSet, "an item is added to what is no set");
        return (LinkedHashSet<Object>) top();
    }

    @SuppressWarnings("unchecked")
    private Map<Object, Object> mapOnTop() throws FormatException {
        if (top() instanceof Made made) return made.items;
        require(top() instanceof LinkedHashMap, "an item is put into what is no dict");
        return (LinkedHashMap<Object, Object>) top();
    }

    private void putAll(Map<Object, Object> map, List<?> keysAndValues) throws FormatException {
        require(keysAndValues.size() % 2 == 0, "a key without its value");
        for (int i = 0; i < keysAndValues.size(); i += 2)
            map.put(hashable(keysAndValues.get(i), map.keySet()), keysAndValues.get(i + 1));
    }

    private Set<Object> addAll(Set<Object> set, List<?> items) throws FormatException {
        for (Object item : items) set.add(hashable(item, set));
        return set;
    }

    /**
     * What cannot contain anything is itself: the hash of a container that holds itself would not end. Anything else becomes a note that
     * equals itself only.
     */
    private Object hashable(Object key, Set<Object> others) throws FormatException {
        boolean plain = key == null
                || key instanceof Long
                || key instanceof Boolean
                || key instanceof Double
                || key instanceof BigInteger;
        if (key instanceof String text)
            require(text.length() <= MAX_KEY_LENGTH, "a key of " + text.length() + " characters");
        else if (!plain) return key instanceof Made ? key : new Made(what(key), List.of());
        if (others.size() >= MAX_MIXED_KEYS && key != null) {
            Object first = others.iterator().next();
            require(
                    first != null && first.getClass() == key.getClass(),
                    "more than " + MAX_MIXED_KEYS + " keys of several types in one place");
        }
        return key;
    }

    /** A name for what has none. */
    private static String what(Object value) {
        if (value instanceof Global global) return global.name();
        if (value instanceof Tuple) return "builtins.tuple";
        if (value instanceof byte[]) return "builtins.bytes";
        if (value instanceof ScalarType dtype) return "torch." + TorchDtypes.name(dtype);
        return "builtins.object";
    }

    // ---- the allowed names

    private Object global(String module, String global) throws FormatException {
        if (module.equals("torch")) {
            ScalarType dtype = TorchDtypes.named(global);
            if (dtype != null) return dtype;
            if (TorchDtypes.ofStorage(global) != null) return new Global("torch." + global);
        }
        String qualified = module.equals("__builtin__") ? "builtins." + global : module + "." + global;
        return switch (qualified) {
            case "collections.OrderedDict",
                    "collections.defaultdict",
                    "torch._utils._rebuild_tensor",
                    "torch._utils._rebuild_tensor_v2",
                    "torch._utils._rebuild_tensor_v3",
                    "torch._utils._rebuild_parameter",
                    "torch._utils._rebuild_parameter_with_state",
                    "torch._tensor._rebuild_from_type_v2",
                    "torch.storage.UntypedStorage",
                    "torch.Size",
                    "torch.device",
                    "argparse.Namespace",
                    "types.SimpleNamespace",
                    "builtins.set",
                    "builtins.frozenset",
                    "builtins.bytes",
                    "builtins.bytearray",
                    "_codecs.encode" -> new Global(qualified);
            default -> {
                require(qualified.length() <= MAX_KEY_LENGTH, "a name of " + qualified.length() + " characters");
                if (DangerousNames.runProgram(module, global)) dangerous(module + "." + global);
                yield new Made(qualified, List.of());
            }
        };
    }

    private void dangerous(String qualified) {
        if (dangerous == null)
            dangerous = "pickle, byte " + position + ": refused: the pickle wants Python to look up " + qualified
                    + ", by which a file can run programs; nothing of it was run here";
    }

    private Object newObject(Object type, Object arguments, Object keywords) throws FormatException {
        require(arguments instanceof Tuple, "a new object without arguments");
        List<Object> args = ((Tuple) arguments).items();
        if (type instanceof Made made) {
            Made object = new Made(made.type(), args);
            if (keywords instanceof Map<?, ?> map) object.items.putAll(map);
            return object;
        }
        require(
                type instanceof Global global && global.name().equals("argparse.Namespace"),
                "a new object of what is no allowed class");
        require(args.isEmpty(), "a Namespace with arguments");
        return new Namespace(new LinkedHashMap<>());
    }

    /** A note of what an unknown function or class was called with; of Python's own ways to make an object, of that object's class. */
    private Made made(Made callable, List<Object> args) {
        String type = callable.type();
        boolean makes = type.matches("copy_?reg\\.(_reconstructor|__newobj__|__newobj_ex__)") && !args.isEmpty();
        if (makes && args.get(0) instanceof Made made) return new Made(made.type(), args.subList(1, args.size()));
        if (!type.equals("builtins.getattr")) return new Made(type, args);
        // Python 3.11 writes a member of an enum so
        boolean member = args.size() == 2 && args.get(0) instanceof Made && args.get(1) instanceof String;
        if (!member) dangerous(type);
        return member ? new Made(((Made) args.get(0)).type(), args.subList(1, 2)) : new Made(type, args);
    }

    private Object call(Object callable, Object arguments) throws FormatException {
        require(callable instanceof Global || callable instanceof Made, "a call of what is no allowed function");
        require(arguments instanceof Tuple, "a call without arguments");
        List<Object> args = ((Tuple) arguments).items();
        if (callable instanceof Made unknown) return made(unknown, args);
        String function = ((Global) callable).name();
        return switch (function) {
            case "collections.OrderedDict" -> orderedDict(args);
            case "collections.defaultdict" -> // what makes its missing values is of no consequence
                orderedDict(args.isEmpty() ? args : args.subList(1, args.size()));
            case "argparse.Namespace", "types.SimpleNamespace" -> {
                require(args.isEmpty(), function + " with arguments");
                yield new Namespace(new LinkedHashMap<>());
            }
            case "torch._utils._rebuild_tensor" -> {
                require(args.size() == 4, function + " with " + args.size() + " arguments");
                yield view(args, null);
            }
            case "torch._utils._rebuild_tensor_v2" -> {
                require(args.size() == 6 || args.size() == 7, function + " with " + args.size() + " arguments");
                yield args.get(0) instanceof Made || hasMetadata(args, 6)
                        ? new Made("torch.Tensor", args)
                        : view(args, null);
            }
            case "torch._utils._rebuild_tensor_v3" -> {
                require(args.size() == 7 || args.size() == 8, function + " with " + args.size() + " arguments");
                if (args.get(6) instanceof Made || hasMetadata(args, 7)) yield new Made("torch.Tensor", args);
                require(args.get(6) instanceof ScalarType, function + " without a dtype");
                yield view(args, (ScalarType) args.get(6));
            }
            case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state" -> {
                boolean tensor = args.size() >= 3 && (args.get(0) instanceof View || args.get(0) instanceof Made);
                require(tensor, function + " without a tensor");
                yield args.get(0);
            }
            case "torch._tensor._rebuild_from_type_v2" -> {
                // a tensor with attributes, or of a class of its own, whose arithmetic is not known
                boolean plain = args.size() == 4
                        && args.get(0) instanceof Global
                        && args.get(1) instanceof Made type
                        && type.type().matches("torch\\.(Tensor|nn\\.parameter\\.Parameter)");
                yield plain ? call(args.get(0), args.get(2)) : new Made("torch.Tensor", args);
            }
            case "torch.Size" -> {
                require(args.size() == 1 && args.get(0) instanceof Tuple, function + " without a tuple");
                yield new Tuple(new ArrayList<>(sizes(args.get(0))));
            }
            case "torch.device" -> device(args);
            case "builtins.set", "builtins.frozenset" -> {
                require(args.size() == 1 && args.get(0) instanceof ArrayList, function + " without a list");
                work(30L * ((ArrayList<?>) args.get(0)).size());
                yield addAll(new LinkedHashSet<>(), (ArrayList<?>) args.get(0));
            }
            case "builtins.bytes", "builtins.bytearray" -> {
                boolean copy = args.size() == 1 && args.get(0) instanceof byte[];
                require(args.isEmpty() || copy, function + " with arguments");
                yield copy ? args.get(0) : new byte[0];
            }
            case "_codecs.encode" -> {
                require(
                        args.size() == 2 && args.get(0) instanceof String && "latin1".equals(args.get(1)),
                        function + " of something else than text to latin1");
                work(((String) args.get(0)).length());
                yield ((String) args.get(0)).getBytes(StandardCharsets.ISO_8859_1);
            }
            default -> throw problem(function + " is called");
        };
    }

    private OrderedDict orderedDict(List<Object> args) throws FormatException {
        OrderedDict map = new OrderedDict();
        if (args.isEmpty()) return map;
        // Python 2 pickled the items as a list of pairs
        require(args.size() == 1 && args.get(0) instanceof ArrayList, "an OrderedDict of something else than pairs");
        work(30L * ((ArrayList<?>) args.get(0)).size());
        for (Object pair : (ArrayList<?>) args.get(0)) {
            List<?> items =
                    pair instanceof Tuple tuple ? tuple.items() : pair instanceof ArrayList<?> list ? list : List.of();
            require(items.size() == 2, "an OrderedDict of something else than pairs");
            putAll(map, items);
        }
        return map;
    }

    private void build(Object state) throws FormatException {
        Object target = top();
        if (target instanceof Made made) {
            made.state = state;
            return;
        }
        require(target instanceof OrderedDict || target instanceof Namespace, "attributes for what has none");
        require(state instanceof Map, "attributes that are no dict");
        if (target instanceof OrderedDict dict) dict.attributes = state;
        if (target instanceof Namespace namespace)
            for (Map.Entry<?, ?> field : ((Map<?, ?>) state).entrySet()) {
                require(field.getKey() instanceof String, "an attribute without a name");
                namespace.fields().put((String) field.getKey(), field.getValue());
            }
    }

    private TorchDevice device(List<Object> args) throws FormatException {
        require(!args.isEmpty() && args.size() <= 2 && args.get(0) instanceof String, "a device without a name");
        if (args.size() == 1) return new TorchDevice((String) args.get(0));
        require(args.get(1) instanceof Long, "a device without a number");
        return new TorchDevice(args.get(0) + ":" + args.get(1));
    }

    // ---- storages and tensors

    /** A storage; of a dtype that is not known here, a note of it. */
    private Object storage(Object id) throws FormatException {
        List<Object> parts = id instanceof Tuple tuple ? tuple.items() : List.of();
        require(
                parts.size() >= 5
                        && parts.size() <= 6
                        && "storage".equals(parts.get(0))
                        && (parts.get(1) instanceof Global || parts.get(1) instanceof Made)
                        && parts.get(2) instanceof String
                        && parts.get(3) instanceof String
                        && parts.get(4) instanceof Long,
                "a persistent id that is no storage");
        if (parts.get(1) instanceof Made unknown) return new Made(unknown.type(), parts.subList(2, 5));
        String type = ((Global) parts.get(1)).name();
        boolean untyped = type.equals("torch.storage.UntypedStorage");
        ScalarType dtype = TorchDtypes.ofStorage(type.substring(type.lastIndexOf('.') + 1));
        require(untyped || dtype != null, "a storage of " + type);
        int elementBytes = untyped ? 1 : Dtypes.bytes(dtype);
        long size = (Long) parts.get(4);
        require(size >= 0 && size <= Long.MAX_VALUE / elementBytes, "a storage of " + size + " elements");
        String key = (String) parts.get(2);
        require(key.length() <= 100, "a storage with a key of " + key.length() + " characters");
        Storage storage = new Storage(key, size * elementBytes, elementBytes);
        Storage known = storages.putIfAbsent(key, storage);
        require(known == null || known.bytes() == storage.bytes(), "storage " + key + " has two sizes");
        Storage shared = known == null ? storage : known;
        if (parts.size() == 5 || parts.get(5) == null) return new TypedStorage(shared, dtype, 0, size);
        require(!untyped, "a part of a storage without a dtype"); // parts are older than those
        List<Long> part = parts.get(5) instanceof Tuple tuple && tuple.items().size() == 3
                ? sizes(new Tuple(tuple.items().subList(1, 3)))
                : List.of(); // (key of the part, offset, size)
        require(
                part.size() == 2 && part.get(0) <= size && part.get(1) <= size - part.get(0),
                "a part of storage " + key + " outside it");
        return new TypedStorage(shared, dtype, part.get(0), part.get(1));
    }

    /** Whether it is to be conjugated or negated once somebody looks at it. */
    private static boolean hasMetadata(List<Object> args, int index) {
        return args.size() > index
                && args.get(index) != null
                && !(args.get(index) instanceof Map<?, ?> map && map.isEmpty());
    }

    private View view(List<Object> args, ScalarType given) throws FormatException {
        require(++tensors <= MAX_TENSORS, "more than " + MAX_TENSORS + " tensors");
        require(args.get(0) instanceof TypedStorage, "a tensor without a storage");
        require(args.get(1) instanceof Long, "a tensor without an offset");
        TypedStorage typed = (TypedStorage) args.get(0);
        require((given == null) != (typed.dtype() == null), "a tensor without a dtype, or with two");
        ScalarType dtype = given == null ? typed.dtype() : given;
        int bytes = Dtypes.bytes(dtype);
        require(typed.storage().bytes() % bytes == 0, "a storage that is no whole number of elements");
        long available = given == null ? typed.size() : typed.size() / bytes, offset = (Long) args.get(1);
        List<Long> shape = sizes(args.get(2)), strides = sizes(args.get(3));
        require(offset >= 0, "a tensor with the offset " + offset);
        require(shape.size() == strides.size(), "a tensor whose shape and strides do not fit");
        requireInside(typed.storage(), shape, strides, offset, available, bytes);
        return new View(typed.storage(), dtype, typed.offset() + offset, shape, strides);
    }

    private void requireInside(
            Storage storage, List<Long> shape, List<Long> strides, long offset, long available, int bytes)
            throws FormatException {
        String outside = "a tensor of shape " + shape + ", strides " + strides + ", offset " + offset
                + " is not inside its storage " + storage.key() + " of " + available + " elements";
        try {
            long elements = 1, last = offset;
            for (int i = 0; i < shape.size(); i++) {
                elements = Math.multiplyExact(elements, shape.get(i));
                if (shape.get(i) > 0) last = Math.addExact(last, Math.multiplyExact(shape.get(i) - 1, strides.get(i)));
            }
            require(elements == 0 || last < available, outside); // an empty one touches nothing
            // few bytes repeated by zero strides cost nothing here, but everything when somebody copies the tensor
            if (elements > available)
                expandedBytes = Math.addExact(expandedBytes, Math.multiplyExact(elements, (long) bytes));
            require(
                    expandedBytes <= 1L << 30,
                    "a tensor of shape " + shape + " made of only " + available + " elements");
        } catch (ArithmeticException e) {
            throw problem(outside);
        }
    }

    private List<Long> sizes(Object value) throws FormatException {
        List<?> items = value instanceof Tuple tuple ? tuple.items() : value instanceof ArrayList<?> list ? list : null;
        require(items != null && items.size() <= MAX_DIMENSIONS, "a shape that is no tuple of at most 64 sizes");
        List<Long> sizes = new ArrayList<>();
        for (Object item : items) {
            require(item instanceof Long size && size >= 0, "a shape or stride that is no number from 0 on");
            sizes.add((Long) item);
        }
        return List.copyOf(sizes);
    }

    // ---- bytes

    private int unsigned8() throws IOException {
        int value = position < limit ? in.read() : -1;
        if (value < 0) throw problem("the pickle is cut short");
        position++;
        return value;
    }

    private byte[] bytes(long length) throws IOException {
        require(length >= 0 && length <= limit - position, "text or bytes of a length beyond the end: " + length);
        byte[] bytes = in.readNBytes((int) length);
        require(bytes.length == length, "the pickle is cut short");
        position += length;
        return bytes;
    }

    private ByteBuffer buffer(int length) throws IOException {
        return ByteBuffer.wrap(bytes(length)).order(ByteOrder.LITTLE_ENDIAN);
    }

    private int int32() throws IOException {
        return buffer(4).getInt();
    }

    private long unsigned32() throws IOException {
        return int32() & 0xffffffffL;
    }

    private long int64() throws IOException {
        return buffer(8).getLong();
    }

    private Object integer(int length) throws IOException {
        require(length >= 0 && length <= MAX_INTEGER_BYTES, "an integer of " + length + " bytes");
        if (length == 0) return 0L;
        byte[] big = bytes(length);
        for (int i = 0; i < length / 2; i++) {
            byte swapped = big[i];
            big[i] = big[length - 1 - i];
            big[length - 1 - i] = swapped;
        }
        BigInteger value = new BigInteger(big);
        return value.bitLength() < 64 ? (Object) value.longValue() : value;
    }

    private String text(long length) throws IOException {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes(length)))
                    .toString();
        } catch (CharacterCodingException e) {
            throw problem("text that is not UTF-8");
        }
    }

    private String line() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = unsigned8(); c != '\n'; c = unsigned8()) {
            require(line.length() < 1000, "a global with an endless name");
            line.append((char) c);
        }
        return line.toString();
    }

    private void work(long items) throws FormatException {
        work += items;
        require(work <= MAX_WORK, "a pickle that copies more than " + MAX_WORK + " items");
    }

    private void require(boolean condition, String problem) throws FormatException {
        if (!condition) throw problem(problem);
    }

    private FormatException problem(String problem) {
        return new FormatException(name, "pickle, byte " + position + ": " + problem);
    }
}
