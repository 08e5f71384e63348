package org.dit4j.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dit4j.eval.FeatureNetwork;
import org.dit4j.eval.FeatureSet;
import org.dit4j.eval.PictureSource;
import org.dit4j.io.Sha256;
import org.dit4j.jobs.FeatureExtraction;
import org.dit4j.jobs.ShardRunner;
import org.dit4j.report.Numbers;
import org.dit4j.report.Progress;
import org.dit4j.report.Terminal;

/** Takes the features of pictures, or finds them in the cache. */
final class FeatureJob {
    private final FeatureFlags flags;
    private final PrintWriter err;

    FeatureJob(FeatureFlags flags, PrintWriter err) {
        this.flags = flags;
        this.err = err;
    }

    /** @param name of the set, for the folder in the cache */
    FeatureSet run(String name, PictureSource pictures, FeatureNetwork network) throws IOException {
        String identity = pictures.digest() + pictures.size() + network.space() + flags.batchSize();
        String digest = Sha256.hex(identity.getBytes(StandardCharsets.UTF_8)).substring(0, 12);
        Path folder = flags.cache().resolve(name.replaceAll("[^\\w.-]+", "-") + "-" + digest);
        if (!Files.exists(folder.resolve(FeatureSet.INDEX))) {
            err.println(pictures.describe());
            extract(folder, new FeatureExtraction(pictures, network, flags.batchSize()));
        }
        return FeatureSet.open(folder);
    }

    private void extract(Path folder, FeatureExtraction job) throws IOException {
        long began = System.nanoTime();
        long[] first = {-1};
        try (Progress progress = new Progress(err, Terminal.ofStandardError(), "features", job.numItems());
                Logs logs = Logs.to(progress::message)) {
            ShardRunner.run(job, folder, (done, numLeftOut) -> {
                if (first[0] < 0) first[0] = done;
                double seconds = (System.nanoTime() - began) / 1e9;
                progress.update(done, Numbers.real((done - first[0]) / seconds) + " images/s");
            });
        }
    }
}
