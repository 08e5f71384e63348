package org.dit4j.doctor;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.Backend;

/**
 * LibTorch as it loaded, or did not.
 *
 * @param platform that JavaCPP looks for, for example "linux-x86_64"
 * @param javacpp version of JavaCPP
 * @param libtorch version of LibTorch and its binding, for example "2.10.0-1.5.13"
 * @param from the file that was loaded; empty if none was
 * @param seconds that loading took, unpacking included where it is the first time
 * @param products as {@link Backend#describe}
 * @param cuda as {@link Backend#cudaVersion}
 * @param cudaDevices as {@link Backend#cudaDevices}
 * @param problem why it did not load; empty if it did
 */
public record Natives(
        String platform,
        String javacpp,
        String libtorch,
        String from,
        double seconds,
        String products,
        long cuda,
        int cudaDevices,
        String problem) {
    /** For which JavaCPP has a LibTorch. */
    static final List<String> PLATFORMS = List.of("linux-x86_64", "macosx-arm64", "macosx-x86_64", "windows-x86_64");

    /** Loads LibTorch, if nobody has before. */
    public static Natives load() {
        String platform = Loader.Detector.getPlatform(), javacpp = "", libtorch = "";
        long start = System.nanoTime();
        try {
            javacpp = Loader.getVersion();
            libtorch = Loader.getVersion("org.bytedeco", "pytorch");
            Backend.load();
            double seconds = (System.nanoTime() - start) / 1e9;
            return new Natives(
                    platform,
                    javacpp,
                    libtorch,
                    String.valueOf(Loader.load(torch.class)), // already loaded: says from where
                    seconds,
                    Backend.describe(),
                    Backend.cudaVersion(),
                    Backend.cudaDevices(),
                    "");
        } catch (IllegalStateException | LinkageError | IOException e) {
            String problem = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
            return new Natives(platform, javacpp, libtorch, "", 0, "", 0, 0, problem);
        }
    }

    /** Before {@link #load}: what was unpacked, but is not as in its jar; it has been replaced. */
    public static List<Path> repair() {
        try {
            return Backend.repairLibraries();
        } catch (IllegalStateException | LinkageError e) {
            return List.of(); // loading says why
        }
    }

    boolean loaded() {
        return problem.isEmpty();
    }
}
