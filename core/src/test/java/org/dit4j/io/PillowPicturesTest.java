package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Pictures of every kind that is read, and what Pillow 12.3.0 (libjpeg-turbo 3.1.4.1, libwebp 1.6.0, libtiff 4.7.1) makes of them by {@code
 * convert("RGB")}: their size and the SHA-256 of the RGB bytes. They were made by Pillow, cjpeg, cwebp, tiffcp and by hand: every JPEG
 * sampling, CMYK and YCCK, several scans, restarts, odd sizes; every depth and colour type of PNG; palettes, masks, run lengths; lossy and
 * lossless WebP. There is no tolerance.
 */
class PillowPicturesTest {
    private static Map<String, byte[]> pictures() throws IOException {
        Map<String, byte[]> files = new LinkedHashMap<>();
        try (ZipInputStream zip = new ZipInputStream(resource("pictures/pillow.zip"))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry())
                files.put(entry.getName(), zip.readAllBytes());
        }
        return files;
    }

    private static InputStream resource(String name) {
        return PillowPicturesTest.class.getResourceAsStream(name);
    }

    private static List<String> expected() throws IOException {
        try (InputStream in = resource("pictures/pillow.txt")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
        }
    }

    private static String line(String name, Picture picture) {
        BufferedImage image = new BufferedImage(picture.width, picture.height, BufferedImage.TYPE_INT_RGB);
        image.setRGB(0, 0, picture.width, picture.height, picture.rgb, 0, picture.width);
        return name + " " + picture.width + " " + picture.height + " " + sha256(Images.toRgbBytes(image));
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Picture decode(String name, byte[] file) throws FormatException {
        return PictureFormat.of(name, file).decode(name, file, PictureLimits.pillow());
    }

    private static List<String> actual() throws IOException {
        List<String> lines = new ArrayList<>();
        pictures().forEach((name, file) -> {
            try {
                lines.add(line(name, decode(name, file)));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        return lines;
    }

    @Test
    void everyPictureIsWhatPillowReads() throws IOException {
        assertTrue(expected().size() > 200);
        assertEquals(String.join("\n", expected()), String.join("\n", actual()));
    }

    /** Of the JDKs only some decode like this, which is why none of them is asked; a level in one pixel shows. */
    @Test
    void aPixelThatIsOneLevelOffIsRejected() throws IOException {
        String name = "b33x31_420_1.jpg";
        Picture picture = decode(name, pictures().get(name));
        assertTrue(expected().contains(line(name, picture)));
        picture.rgb[500] ^= 1;
        assertFalse(expected().contains(line(name, picture)));
    }

    @Test
    void headersSayTheSizeAndThatTheMemoryIsEnough() throws IOException {
        Map<String, byte[]> pictures = pictures();
        for (String line : expected()) {
            String[] parts = line.split(" ");
            byte[] file = pictures.get(parts[0]);
            PictureHeader header = Images.readHeader(new ByteArrayInputStream(file), parts[0], PictureLimits.pillow());
            int width = Integer.parseInt(parts[1]), height = Integer.parseInt(parts[2]);
            boolean turned = header.width() == height && header.height() == width; // of TIFFs Pillow turns
            assertTrue(turned || header.width() == width && header.height() == height, line + ": " + header);
            assertTrue(header.bytesToDecode() >= 4L * width * height, line);
        }
    }

    @Test
    void aPictureCutAnywhereOrDamagedIsReadOrRefused() throws IOException {
        Path folder = Files.createTempDirectory("pictures");
        List<byte[]> seeds = new ArrayList<>();
        for (String line : expected()) {
            String name = line.substring(0, line.indexOf(' '));
            if (name.contains("17x15") || name.contains("13x11"))
                seeds.add(pictures().get(name));
        }
        try {
            Mutations.run(1_500, 21, seeds, folder, Images::read);
        } finally {
            Files.deleteIfExists(folder.resolve("mutated"));
            Files.delete(folder);
        }
    }

    /** For the nights: {@code mvn test -pl core -Ddit.excludedTags= -Dtest='*Test#*wo*undredThousandDamaged*+manyDamaged*'}. */
    @ParameterizedTest
    @ValueSource(strings = {"png", "jpg", "webp", "gif", "bmp", "tif", "p?m"})
    @Tag("slow")
    void twoHundredThousandDamagedPicturesOfEachKindAreReadOrRefused(String ending, @TempDir Path folder)
            throws IOException {
        List<byte[]> seeds = new ArrayList<>();
        pictures().forEach((name, file) -> {
            if (name.matches(".*\\." + ending.replace('?', '.') + "f?") && file.length < 4000) seeds.add(file);
        });
        Mutations.run(200_000, 23, seeds, folder, Images::read);
    }

    @Test
    void aPngWhoseChecksumsFitItsDamageIsReadOrRefused() throws IOException {
        Path folder = Files.createTempDirectory("pictures");
        List<byte[]> seeds = new ArrayList<>();
        pictures().forEach((name, file) -> {
            if (name.endsWith(".png") && name.contains("13x11")) seeds.add(file);
        });
        try {
            Mutations.run(
                    1_000,
                    22,
                    seeds,
                    folder,
                    path -> Images.read(
                            new ByteArrayInputStream(PngChecksums.repaired(Files.readAllBytes(path))),
                            path.toString()));
        } finally {
            Files.deleteIfExists(folder.resolve("mutated"));
            Files.delete(folder);
        }
    }

    /** The JDKs link and bundle different libraries; the pixels depend on none of them. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void everyJdkOfThisMachineReadsTheSameBytes() throws Exception {
        List<Path> jdks = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"))));
        Path others = Path.of("/usr/lib/jvm");
        if (Files.isDirectory(others))
            try (Stream<Path> folders = Files.list(others)) {
                folders.filter(folder ->
                                Files.isExecutable(folder.resolve("bin/java")) && !Files.isSymbolicLink(folder))
                        .forEach(jdks::add);
            }
        for (Path jdk : jdks) {
            Process process = new ProcessBuilder(
                            jdk.resolve("bin/java").toString(),
                            "-XX:TieredStopAtLevel=1",
                            "-cp",
                            System.getProperty("java.class.path"),
                            PillowPicturesTest.class.getName())
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (process.waitFor() == 1 && said.isEmpty()) continue; // a Java older than 17 cannot load these classes
            assertEquals(
                    sha256(String.join("\n", expected()).getBytes(StandardCharsets.UTF_8)),
                    said.strip(),
                    jdk.toString());
        }
    }

    /** Prints a digest of all. */
    public static void main(String[] args) throws IOException {
        System.out.println(sha256(String.join("\n", actual()).getBytes(StandardCharsets.UTF_8)));
    }
}
