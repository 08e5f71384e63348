package org.dit4j.checkpoint;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.dit4j.checkpoint.Manifest.StoredFile;
import org.dit4j.checkpoint.Manifest.StoredTensor;
import org.dit4j.io.Sha256;

/** The digests of a file whose bytes pass by once, in order: CRC32C of each block, which finds the place; SHA-256 of each tensor. */
final class Digests {
    /** A tensor's place, in bytes from the beginning of the file. */
    record Place(String name, long begin, long end) {}

    private final List<Place> places;
    private final List<String> blocks = new ArrayList<>();
    private final Map<String, StoredTensor> tensors = new LinkedHashMap<>();
    private final CRC32C crc = new CRC32C();
    private final MessageDigest sha = Sha256.digest();
    private long position;
    private int next;

    /** @param places of tensors, in order */
    Digests(List<Place> places) {
        this.places = List.copyOf(places);
        finishTensors(); // those of no bytes at the beginning
    }

    /** How many bytes may pass at once: within one block, and within or between tensors. */
    int most(int remaining) {
        long end = Math.min(position + remaining, (position / Manifest.BLOCK + 1) * Manifest.BLOCK);
        if (next < places.size()) {
            Place place = places.get(next);
            end = Math.min(end, position < place.begin() ? place.begin() : place.end());
        }
        return (int) (end - position);
    }

    /** Takes all that remains in {@code bytes}, at most {@link #most}. */
    void update(ByteBuffer bytes) {
        int count = bytes.remaining();
        crc.update(bytes.duplicate());
        if (next < places.size() && position >= places.get(next).begin()) sha.update(bytes.duplicate());
        position += count;
        if (position % Manifest.BLOCK == 0) finishBlock();
        finishTensors();
    }

    private void finishBlock() {
        blocks.add(Manifest.hex((int) crc.getValue()));
        crc.reset();
    }

    private void finishTensors() {
        for (; next < places.size() && position == places.get(next).end(); next++) {
            Place place = places.get(next);
            tensors.put(
                    place.name(),
                    new StoredTensor(place.begin(), place.end(), HexFormat.of().formatHex(sha.digest())));
        }
    }

    /** After the last byte. */
    StoredFile finish(String name) {
        if (position % Manifest.BLOCK != 0) finishBlock();
        return new StoredFile(name, position, List.copyOf(blocks), tensors);
    }
}
