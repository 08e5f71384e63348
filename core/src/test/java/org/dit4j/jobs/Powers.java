package org.dit4j.jobs;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.dit4j.io.AtomicFile;

/**
 * Each item's power, one a line; multiples of seven are left out. As a program, {@code Powers FOLDER}, it prints each step once that is done
 * and waits for a line before it goes on; with a second word it does not wait.
 */
record Powers(long numItems, int shardSize, int exponent, long itemBytes) implements ShardJob {
    Powers(long numItems, int shardSize, int exponent) {
        this(numItems, shardSize, exponent, 21); // a long, and the end of its line
    }

    @Override
    public String fileName(int number) {
        return "powers-" + number + ".txt";
    }

    @Override
    public String indexName() {
        return "powers.txt";
    }

    @Override
    public long maxBytes(Shard shard) {
        return itemBytes * shard.size();
    }

    @Override
    public OptionalLong finished(Shard shard) throws IOException {
        if (!Files.exists(shard.file())) return OptionalLong.empty();
        List<String> lines = Files.readAllLines(shard.file());
        shard.requireSame("exponent", Integer.toString(exponent), lines.get(0));
        return OptionalLong.of(shard.size() - (lines.size() - 1));
    }

    @Override
    public long write(Shard shard, Progress progress) throws IOException {
        long[] numLeftOut = new long[1];
        AtomicFile.write(shard.file(), channel -> {
            append(channel, Integer.toString(exponent));
            for (long item = shard.first(); item < shard.end(); item++) {
                if (item % 7 == 0) numLeftOut[0]++;
                else append(channel, Long.toString((long) Math.pow(item, exponent)));
                progress.advanced(item + 1 - shard.first(), numLeftOut[0]);
            }
        });
        return numLeftOut[0];
    }

    private static void append(FileChannel channel, String line) throws IOException {
        channel.write(ByteBuffer.wrap((line + "\n").getBytes()));
    }

    @Override
    public void writeIndex(Path folder, List<Shard> shards) throws IOException {
        List<String> lines = new ArrayList<>();
        for (Shard shard : shards) lines.add(shard.file().getFileName() + " " + Files.size(shard.file()));
        AtomicFile.write(folder.resolve(indexName()), String.join("\n", lines).getBytes());
    }

    public static void main(String[] args) throws IOException {
        ShardRunner.run(new Powers(10, 3, 2), Path.of(args[0]), (done, numLeftOut) -> {
            System.out.println(done);
            try {
                if (args.length == 1 && System.in.read() < 0) System.exit(1); // whoever started it is gone
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
    }
}
