package org.dit4j.io;

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Where the pickle and the storages are in the two formats of torch.save. Holds the storages that were read until it is closed. */
abstract class TorchArchive implements AutoCloseable {
    static final int MAX_PICKLE_BYTES = 64 << 20;
    private static final byte[] ZIP_MAGIC = {'P', 'K', 3, 4};
    private static final BigInteger LEGACY_MAGIC = new BigInteger("1950a86a20f9469cfc6c", 16);

    final Path path;
    final FileChannel channel;
    final Map<String, Unpickler.Storage> storages = new HashMap<>();
    private final Map<String, Tensor> read = new HashMap<>();
    private Object root;
    private String dangerous;

    private TorchArchive(Path path, FileChannel channel) {
        this.path = path;
        this.channel = channel;
    }

    static TorchArchive open(Path path, FileChannel channel) throws IOException {
        byte[] begin = new byte[(int) Math.min(FileKind.LENGTH, channel.size())];
        TensorBytes.readFully(path.toString(), channel, ByteBuffer.wrap(begin), 0);
        TorchArchive archive;
        if (startsWith(begin, ZIP_MAGIC)) archive = new Zip(path, channel);
        else if (begin.length > 1 && begin[0] == (byte) 0x80) archive = new Legacy(path, channel);
        else throw new FormatException(path, FileKind.of(begin).orElse("not a file of torch.save"));
        archive.root = archive.load();
        return archive;
    }

    /** Whether it is a zip archive with a program in it. */
    static boolean isScript(Path path, FileChannel channel) throws IOException {
        byte[] begin = new byte[(int) Math.min(ZIP_MAGIC.length, channel.size())];
        TensorBytes.readFully(path.toString(), channel, ByteBuffer.wrap(begin), 0);
        return startsWith(begin, ZIP_MAGIC)
                && ZipDirectory.read(path.toString(), channel).entries().keySet().stream()
                        .anyMatch(name -> name.endsWith("/constants.pkl"));
    }

    private static boolean startsWith(byte[] bytes, byte[] magic) {
        return bytes.length >= magic.length && Arrays.equals(bytes, 0, magic.length, magic, 0, magic.length);
    }

    /** What the pickle says; tensors are {@link Unpickler.View}s. */
    Object root() {
        return root;
    }

    /** Why nobody should load this file, if its pickle names what runs programs; else null. */
    String dangerous() {
        return dangerous;
    }

    abstract Object load() throws IOException;

    Object load(Unpickler unpickler) throws IOException {
        Object loaded = unpickler.load();
        if (dangerous == null) dangerous = unpickler.dangerous();
        return loaded;
    }

    /** Fills 1-D uint8 memory with a storage. */
    abstract void read(Unpickler.Storage storage, Tensor into) throws IOException;

    /** Checks what no tensor has read, if there are checksums and anything was read. */
    abstract void verifyRest() throws IOException;

    /** A storage as 1-D uint8, read once; closed with this. */
    Tensor storage(Unpickler.Storage storage) throws IOException {
        Tensor known = read.get(storage.key());
        if (known != null) return known;
        Tensor tensor = TensorScope.keeping(() -> Tensors.empty(ScalarType.Byte, storage.bytes()));
        read.put(storage.key(), tensor);
        read(storage, tensor);
        return tensor;
    }

    boolean hasRead(String key) {
        return read.containsKey(key);
    }

    @Override
    public void close() {
        read.values().forEach(Tensor::close);
    }

    FormatException problem(String problem) {
        return new FormatException(path, problem);
    }

    /** An archive with {@code NAME/data.pkl} and {@code NAME/data/KEY}, since PyTorch 1.6. */
    private static final class Zip extends TorchArchive {
        private ZipDirectory directory;
        private String folder;

        Zip(Path path, FileChannel channel) {
            super(path, channel);
        }

        @Override
        Object load() throws IOException {
            directory = ZipDirectory.read(path.toString(), channel);
            folder = folder();
            ZipDirectory.Entry order = directory.entries().get(folder + "byteorder");
            if (order != null) {
                String name = new String(directory.bytes(order, 100), StandardCharsets.ISO_8859_1);
                if (!name.equals("little"))
                    throw problem("saved on a " + (name.equals("big") ? "big-endian" : "strange")
                            + " machine, which is not read; save it again on a little-endian one");
            }
            byte[] pickle = directory.bytes(directory.entries().get(folder + "data.pkl"), MAX_PICKLE_BYTES);
            Unpickler unpickler =
                    new Unpickler(path.toString(), new ByteArrayInputStream(pickle), pickle.length, storages);
            Object root = load(unpickler);
            for (Unpickler.Storage storage : storages.values()) {
                ZipDirectory.Entry entry = directory.entries().get(entry(storage.key()));
                if (entry == null) throw problem("storage " + storage.key() + " is not in the archive");
                if (entry.size() != storage.bytes())
                    throw problem("storage " + storage.key() + " has " + entry.size() + " bytes, the pickle says "
                            + storage.bytes());
            }
            return root;
        }

        private String entry(String key) {
            return folder + "data/" + key;
        }

        private String folder() throws FormatException {
            String found = null;
            for (String name : directory.entries().keySet()) {
                if (name.endsWith("/constants.pkl"))
                    throw problem("a TorchScript archive, which is a program; save its state_dict() with torch.save");
                if (!name.matches("[^/]+/data\\.pkl")) continue;
                if (found != null) throw problem("two pickles in one archive");
                found = name.substring(0, name.length() - "data.pkl".length());
            }
            if (found == null) throw problem("a zip archive without data.pkl, not one of torch.save");
            return found;
        }

        @Override
        void read(Unpickler.Storage storage, Tensor into) throws IOException {
            directory.read(directory.entries().get(entry(storage.key())), into);
        }

        @Override
        void verifyRest() throws IOException {
            boolean whole = storages.keySet().stream().allMatch(this::hasRead);
            if (!whole) return; // only a part of the file was wanted
            for (ZipDirectory.Entry entry : directory.entries().values()) {
                String name = entry.name();
                boolean storage = name.startsWith(folder + "data/")
                        && hasRead(name.substring(folder.length() + "data/".length()));
                if (!storage) directory.verify(entry);
            }
        }
    }

    /** Five pickles, then the storages one after the other, each after its number of elements; before PyTorch 1.6. */
    private static final class Legacy extends TorchArchive {
        private static final String NOT_OURS = "a Python pickle, but not one of torch.save";
        private final Map<String, Long> begins = new HashMap<>();

        Legacy(Path path, FileChannel channel) {
            super(path, channel);
        }

        @Override
        Object load() throws IOException {
            channel.position(0);
            long limit = Math.min(channel.size(), MAX_PICKLE_BYTES), position = 0;
            InputStream in = new BufferedInputStream(Channels.newInputStream(channel), 1 << 16);
            Object[] pickles = new Object[5]; // magic, protocol version, system, the object, keys of the storages
            for (int i = 0; i < pickles.length; i++) {
                Map<String, Unpickler.Storage> found = i == 3 ? storages : new HashMap<>();
                Unpickler unpickler = new Unpickler(path.toString(), in, limit - position, found);
                try {
                    pickles[i] = load(unpickler);
                } catch (FormatException e) {
                    throw i == 0 ? new FormatException(path, NOT_OURS, e) : e;
                }
                if (i == 0 && !LEGACY_MAGIC.equals(pickles[0])) throw problem(NOT_OURS);
                position += unpickler.position();
            }
            if (!Long.valueOf(1001).equals(pickles[1])) throw problem("an unknown version of torch.save's old format");
            if (!(pickles[2] instanceof Map<?, ?> system) || !Boolean.TRUE.equals(system.get("little_endian")))
                throw problem("saved on a big-endian machine, which is not read; save it again on a little-endian one");
            if (!(pickles[4] instanceof List<?> keys)) throw problem("the list of storages is missing");
            findStorages(keys, position);
            return pickles[3];
        }

        private void findStorages(List<?> keys, long begin) throws IOException {
            long at = begin;
            Set<Object> seen = new HashSet<>();
            for (Object key : keys) {
                Unpickler.Storage storage = key instanceof String ? storages.get(key) : null;
                if (storage == null || !seen.add(key)) throw problem("an unexpected storage in the list of storages");
                ByteBuffer count = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
                TensorBytes.readFully(path.toString(), channel, count, at);
                long elements = count.flip().getLong();
                if (elements != storage.bytes() / storage.elementBytes())
                    throw problem("storage " + key + " has " + elements + " elements, the pickle says "
                            + storage.bytes() / storage.elementBytes());
                at += 8;
                if (storage.bytes() > channel.size() - at)
                    throw problem("cut short: storage " + key + " needs " + storage.bytes() + " bytes, "
                            + (channel.size() - at) + " are left");
                begins.put(storage.key(), at);
                at += storage.bytes();
            }
            if (seen.size() != storages.size()) throw problem("a storage is not in the list of storages");
        }

        @Override
        void read(Unpickler.Storage storage, Tensor into) throws IOException {
            TensorBytes.read(path.toString(), channel, begins.get(storage.key()), into);
        }

        @Override
        void verifyRest() {
            // the old format has no checksums
        }
    }
}
