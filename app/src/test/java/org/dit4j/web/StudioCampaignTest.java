package org.dit4j.web;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.cli.Main;
import org.dit4j.cli.TinyRun;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a studio that is left running meets: crowds, slow and hostile clients, kill -9. Sizes by {@code -Ddit.studio.*}; each prints its figures. */
@Tag("slow")
class StudioCampaignTest {
    private static final String JOB =
            "{\"classes\": [1], \"steps\": 20, \"sampler\": \"ddim\", \"count\": 2, \"seed\": %d}";

    @TempDir
    private static Path folder;

    @BeforeAll
    static void train() throws IOException {
        TinyRun.train(folder.resolve("results"));
    }

    private static TestStudio studio(String gallery, int maxQueue) throws IOException {
        TestStudio studio =
                new TestStudio(TestStudio.config(folder.resolve(gallery), maxQueue, folder.resolve("results")));
        studio.awaitReady();
        return studio;
    }

    private static int size(String name, int otherwise) {
        return Integer.getInteger("dit.studio." + name, otherwise);
    }

    private static double quantile(List<Double> values, double quantile) {
        double[] sorted =
                values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
        return sorted.length == 0 ? 0 : sorted[(int) Math.min(sorted.length - 1, quantile * sorted.length)];
    }

    /** Reads with several clients at once for some seconds; milliseconds of each request. */
    private static List<Double> read(
            TestStudio studio, int clients, int seconds, List<String> paths, AtomicInteger failures)
            throws InterruptedException {
        ConcurrentLinkedQueue<Double> times = new ConcurrentLinkedQueue<>();
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < clients; i++) {
            Random random = new Random(i);
            threads.add(new Thread(() -> {
                while (System.nanoTime() < until)
                    try {
                        HttpRequest request = HttpRequest.newBuilder(
                                        studio.uri(paths.get(random.nextInt(paths.size()))))
                                .build();
                        long began = System.nanoTime();
                        int status = studio.client()
                                .send(request, BodyHandlers.ofByteArray())
                                .statusCode();
                        times.add((System.nanoTime() - began) / 1e6);
                        if (status >= 500) failures.incrementAndGet();
                        TimeUnit.MILLISECONDS.sleep(20 + random.nextInt(40)); // people and scripts pause
                    } catch (IOException e) {
                        failures.incrementAndGet();
                    } catch (InterruptedException e) {
                        return;
                    }
            }));
        }
        threads.forEach(Thread::start);
        for (Thread thread : threads) thread.join();
        return new ArrayList<>(times);
    }

    @Test
    void aCrowdThatReadsBesideARunningJob() throws Exception {
        try (TestStudio studio = studio("crowd", 32)) {
            for (int i = 0; i < 3; i++) studio.drawn(JOB.formatted(i));
            AtomicInteger failures = new AtomicInteger();
            String job = studio.post("/v1/generations", "{\"classes\": [1], \"steps\": 1000, \"count\": 64}")
                    .json()
                    .path("id")
                    .asText();
            String image =
                    studio.get("/v1/images?most=1").json().at("/images/0/url").asText();
            int seconds = size("seconds", 10);
            List<Double> empty = read(studio, 64, seconds, List.of("/healthz"), failures);
            List<Double> mixed = read(
                    studio,
                    64,
                    seconds,
                    List.of(
                            "/v1/generations",
                            "/v1/images?most=20",
                            "/v1/models",
                            "/v1/classes?q=s",
                            image,
                            "/",
                            "/v1/samplers"),
                    failures);
            System.out.printf(
                    "crowd: %d empty and %d mixed requests; 99%% %.1f and %.1f ms, median %.1f and %.1f ms; failures %d%n",
                    empty.size(),
                    mixed.size(),
                    quantile(empty, 0.99),
                    quantile(mixed, 0.99),
                    quantile(empty, 0.5),
                    quantile(mixed, 0.5),
                    failures.get());
            assertEquals(0, failures.get());
            studio.delete("/v1/generations/" + job);
            assertTrue(
                    quantile(mixed, 0.99) <= 3 * quantile(empty, 0.99), "99% of GETs within 3 times the empty route");
        }
    }

    @Test
    void tenTimesMoreThanItCanTake() throws Exception {
        try (TestStudio studio = studio("overload", 8)) {
            for (int i = 0; i < 3; i++) studio.drawn(JOB.formatted(i));
            Set<String> accepted = new HashSet<>();
            List<Double> ratios = new ArrayList<>();
            int refused = 0, clients = 4;
            for (int i = 0; i < size("overload", 80); i++) {
                TestStudio.Answer answer = studio.post(
                        "/v1/generations", JOB.replace("20", "200").formatted(i), "Dit-Client", "c" + i % clients);
                if (answer.status() == 202) {
                    accepted.add(answer.json().path("id").asText());
                    continue;
                }
                assertEquals(429, answer.status());
                refused++;
                int promised = Integer.parseInt(answer.header("Retry-After"));
                assertTrue(promised >= 1 && promised <= 60, "Retry-After " + promised);
                long began = System.nanoTime();
                while (studio.get("/v1/generations").json().path("generations").findValuesAsText("state").stream()
                                .filter("queued"::equals)
                                .count()
                        >= 8) TestStudio.pause(10);
                ratios.add(Math.max(1, (System.nanoTime() - began) / 1e9) / promised);
            }
            List<String> served = new ArrayList<>();
            for (String id : accepted)
                assertEquals("done", studio.finished(id).path("state").asText(), id);
            TreeMap<String, String> byStart = new TreeMap<>();
            for (JsonNode job : studio.get("/v1/generations").json().path("generations"))
                if (accepted.contains(job.path("id").asText()))
                    byStart.put(job.path("started").asText(), job.path("client").asText());
            served.addAll(byStart.values());
            System.out.printf(
                    "overload: %d accepted, all done; %d refused; waited / Retry-After median %.2f, 10%% %.2f, 90%% %.2f%n",
                    accepted.size(), refused, quantile(ratios, 0.5), quantile(ratios, 0.1), quantile(ratios, 0.9));
            assertTrue(quantile(ratios, 0.9) <= 2, "it is not longer than twice as long as promised");
        }
    }

    /** Sockets that ask for events and never read; the status of each answer. */
    @Test
    void viewersThatNeverReadAndBytesThatNeverEnd() throws Exception {
        try (TestStudio studio = studio("slow", 32)) {
            AtomicInteger failures = new AtomicInteger();
            List<Double> idle = read(studio, 4, 5, List.of("/v1/samplers"), failures);
            String id = studio.post("/v1/generations", "{\"classes\": [1], \"steps\": 1000, \"count\": 64}")
                    .json()
                    .path("id")
                    .asText();
            int number = size("viewers", 500);
            List<Socket> sockets = new ArrayList<>();
            int accepted = 0, refused = 0;
            for (int i = 0; i < number; i++) {
                Socket socket = new Socket();
                socket.setReceiveBufferSize(1024);
                socket.connect(new java.net.InetSocketAddress("127.0.0.1", studio.studio.port()));
                socket.getOutputStream()
                        .write(("GET /v1/generations/" + id + "/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                                .getBytes(StandardCharsets.US_ASCII));
                socket.setSoTimeout(5000);
                String status = new String(socket.getInputStream().readNBytes(12), StandardCharsets.US_ASCII);
                if (status.endsWith("200")) accepted++;
                if (status.endsWith("429")) refused++;
                sockets.add(socket);
            }
            List<Thread> drips = new ArrayList<>();
            for (int i = 0; i < number; i++) {
                Socket socket = new Socket("127.0.0.1", studio.studio.port());
                socket.getOutputStream()
                        .write("POST /v1/generations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: appl"
                                .getBytes(StandardCharsets.US_ASCII));
                sockets.add(socket);
            }
            Thread drip = new Thread(() -> {
                try {
                    for (int second = 0; second < 15; second++) {
                        for (Socket socket : sockets.subList(number, 2 * number))
                            try {
                                socket.getOutputStream().write('x');
                            } catch (IOException e) {
                                // cut
                            }
                        TimeUnit.SECONDS.sleep(1);
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
            drip.start();
            List<Double> beside = read(studio, 4, 10, List.of("/v1/samplers"), failures);
            drip.interrupt();
            drip.join();
            String metrics = new String(studio.get("/metrics").bytes(), StandardCharsets.UTF_8);
            System.out.printf(
                    "viewers: %d watch, %d refused, of %d; 99%% of others %.1f ms, idle %.1f ms; failures %d; heap %d MiB; %s%n",
                    accepted,
                    refused,
                    number,
                    quantile(beside, 0.99),
                    quantile(idle, 0.99),
                    failures.get(),
                    (Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory()) >> 20,
                    metrics.lines()
                            .filter(line -> line.startsWith("dit_viewers"))
                            .toList());
            studio.delete("/v1/generations/" + id);
            for (Socket socket : sockets) socket.close();
            assertTrue(accepted <= EventHub.MOST_VIEWERS + 8, "no more watch than may");
            assertTrue(accepted + refused == number, "each gets an answer");
            assertEquals(0, failures.get());
        }
    }

    @Test
    void manyJobsOneAfterAnother() throws Exception {
        try (TestStudio studio = studio("many", 32)) {
            int jobs = size("jobs", 100);
            long at = 0, objects = 0, threads = 0;
            long after = 0;
            for (int i = 0; i < jobs; i++) {
                studio.drawn("{\"classes\": [1], \"steps\": 3, \"sampler\": \"ddim\", \"seed\": " + i + "}");
                if (i == jobs / 10) {
                    TestStudio.pause(200);
                    at = Pointer.physicalBytes();
                    objects = Pointer.totalCount();
                    threads = Thread.activeCount();
                }
            }
            TestStudio.pause(300);
            after = Pointer.physicalBytes();
            System.out.printf(
                    "jobs: %d; resident %d MiB after a tenth, %d MiB at the end; native objects %d and %d; threads %d and %d%n",
                    jobs, at >> 20, after >> 20, objects, Pointer.totalCount(), threads, Thread.activeCount());
            assertTrue(Pointer.totalCount() <= objects, "native objects");
        }
    }

    /** A process of its own, to be killed. */
    private static Process process(Path gallery, Path out) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                "serve",
                folder.resolve("results").toString(),
                "--gallery=" + gallery,
                "--port=0",
                "--device=cpu",
                "--grace=5s"));
        return new ProcessBuilder(command)
                .redirectOutput(out.toFile())
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
    }

    private static URI address(Process process, Path out) throws IOException {
        for (int i = 0; i < 3000 && process.isAlive(); i++, TestStudio.pause(20)) {
            String text = Files.exists(out) ? Files.readString(out) : "";
            if (text.contains("\n")) return URI.create(text.strip());
        }
        throw new AssertionError("dit serve did not start");
    }

    private static HttpResponse<String> ask(String method, URI uri, String body)
            throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri).header("Content-Type", "application/json");
        request.method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
        return HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofString());
    }

    @Test
    void killedInTheMiddleOfJobs() throws Exception {
        Path gallery = folder.resolve("killed");
        Random random = new Random(1);
        Set<String> accepted = new HashSet<>();
        int kills = size("kills", 5);
        for (int kill = 0; kill < kills; kill++) {
            Path out = folder.resolve("out" + kill);
            Process process = process(gallery, out);
            URI address = address(process, out);
            for (int i = 0; i < 4; i++) {
                HttpResponse<String> answer =
                        ask("POST", address.resolve("/v1/generations"), JOB.formatted(100 * kill + i));
                if (answer.statusCode() == 202)
                    accepted.add(Json.parse(answer.body().getBytes(StandardCharsets.UTF_8))
                            .path("id")
                            .asText());
            }
            TestStudio.pause(random.nextInt(800));
            process.destroyForcibly().waitFor();
        }
        try (TestStudio studio = studio("killed", 32)) {
            int done = 0, lost = 0;
            for (String id : accepted) {
                String state = studio.finished(id).path("state").asText();
                assertTrue(List.of("done", "lost").contains(state), id + " is " + state);
                if (state.equals("done")) done++;
                else lost++;
            }
            int damaged = 0;
            try (Stream<Path> files = Files.list(gallery)) {
                for (Path file :
                        files.filter(path -> path.toString().endsWith(".png")).toList())
                    if (!org.dit4j.io.Sha256.hex(Files.readAllBytes(file))
                            .equals(file.getFileName().toString().substring(0, 64))) damaged++;
            }
            int indexed = studio.get("/v1/images?most=0").json().path("total").asInt();
            System.out.printf(
                    "kill -9: %d times; %d jobs accepted, %d done, %d reported as lost; %d pictures, %d damaged%n",
                    kills, accepted.size(), done, lost, indexed, damaged);
            assertEquals(0, damaged);
            assertEquals(new Gallery(gallery).size(), indexed);
        }
    }

    @Test
    void askedToEndItFinishesWhatRunsAndEndsWith143() throws Exception {
        Path out = folder.resolve("term");
        Process process = process(folder.resolve("terminated"), out);
        URI address = address(process, out);
        ask("POST", address.resolve("/v1/generations"), JOB.formatted(1));
        process.destroy();
        assertTrue(process.waitFor(30, TimeUnit.SECONDS));
        assertEquals(143, process.exitValue());
    }

    /** Requests that were right before something in them was changed. */
    @Test
    void mutatedRequests() throws Exception {
        Path gallery = folder.resolve("fuzz/gallery");
        try (TestStudio studio =
                new TestStudio(TestStudio.config(Files.createDirectories(gallery), 4, folder.resolve("results")))) {
            studio.awaitReady();
            Random random = new Random(7);
            List<String> paths = new ArrayList<>();
            studio.description.path("paths").fieldNames().forEachRemaining(paths::add);
            String body =
                    "{\"classes\": [1, \"star\"], \"steps\": 2, \"seed\": 5, \"guidance\": 2.0, \"interval\": [0, 900], \"draft\": true, \"sampler\": \"ddim\"}";
            TreeMap<Integer, Integer> statuses = new TreeMap<>();
            int number = size("requests", 3000);
            long began = System.nanoTime();
            for (int i = 0; i < number; i++) {
                String method =
                        List.of("GET", "POST", "POST", "POST", "DELETE", "PUT").get(random.nextInt(6));
                String path = paths.get(random.nextInt(paths.size()))
                        .replaceAll(
                                "\\{[a-z]+}",
                                List.of("x", "..", "%00", "0".repeat(64) + ".png", "1")
                                        .get(random.nextInt(5)));
                if (path.endsWith("/events")) continue;
                if (random.nextInt(3) == 0) path = "/v1/generations";
                String head = method + " " + path
                        + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ";
                byte[] bytes = mutated(body.getBytes(StandardCharsets.UTF_8), random);
                byte[] request =
                        concat((head + bytes.length + "\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1), bytes);
                if (random.nextInt(4) == 0) request = mutated(request, random);
                int status = status(studio, request);
                statuses.merge(status, 1, Integer::sum);
                assertTrue(status < 500 || status == 501 || status == 505, () -> "a " + status + " for " + path(head));
            }
            System.out.printf(
                    "fuzz: %d requests in %.0f s; answers by status %s%n",
                    number, (System.nanoTime() - began) / 1e9, statuses);
            try (Stream<Path> files = Files.list(folder.resolve("fuzz"))) {
                assertEquals(List.of(gallery), files.toList(), "no file outside the gallery");
            }
        }
    }

    private static String path(String head) {
        return head.lines().findFirst().orElse("");
    }

    private static byte[] concat(byte[] head, byte[] body) {
        byte[] all = Arrays.copyOf(head, head.length + body.length);
        System.arraycopy(body, 0, all, head.length, body.length);
        return all;
    }

    private static byte[] mutated(byte[] given, Random random) {
        byte[] bytes = given.clone();
        for (int i = random.nextInt(4); i > 0; i--) {
            int at = random.nextInt(bytes.length);
            switch (random.nextInt(4)) {
                case 0 -> bytes[at] = (byte) random.nextInt(256);
                case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
                case 2 ->
                    bytes = concat(
                            Arrays.copyOf(bytes, at),
                            Arrays.copyOfRange(bytes, Math.min(bytes.length, at + 3), bytes.length));
                default ->
                    bytes = concat(
                            Arrays.copyOf(bytes, at), Arrays.copyOfRange(bytes, Math.max(0, at - 5), bytes.length));
            }
            if (bytes.length == 0) return bytes;
        }
        return bytes;
    }

    /** Of the answer; 0 where the connection is closed, or more of a request is waited for. */
    private static int status(TestStudio studio, byte[] request) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", studio.studio.port())) {
            socket.setSoTimeout(15_000);
            OutputStream out = socket.getOutputStream();
            out.write(request);
            out.flush();
            socket.shutdownOutput();
            InputStream in = socket.getInputStream();
            String line = new BufferedReader(new java.io.InputStreamReader(in, StandardCharsets.ISO_8859_1)).readLine();
            return line == null || !line.startsWith("HTTP/1.1 ") ? 0 : Integer.parseInt(line.substring(9, 12));
        } catch (java.net.SocketException e) {
            return 0;
        }
    }

    @Test
    void aLargeGalleryOpensAndIsPaged() throws Exception {
        Path gallery = Files.createDirectories(folder.resolve("large"));
        int number = size("pictures", 10_000);
        ObjectNode recipe = Json.object()
                .put("version", 1)
                .put("software", "test")
                .put("seed", "1")
                .put("index", 0)
                .put("steps", "5")
                .put("sampler", "ddim")
                .put("eta", 0)
                .put("guidance", 1);
        recipe.putObject("model").put("id", "m");
        for (int i = 0; i < number; i++) {
            recipe.put("seed", Integer.toString(i));
            byte[] png = org.dit4j.io.Images.encodePng(
                    new java.awt.image.BufferedImage(96, 96, java.awt.image.BufferedImage.TYPE_INT_RGB),
                    java.util.Map.of(PictureRecipe.KEY, recipe.toString()));
            Files.write(gallery.resolve(org.dit4j.io.Sha256.hex(png) + ".png"), png);
        }
        long began = System.nanoTime();
        Gallery opened = new Gallery(gallery);
        double start = (System.nanoTime() - began) / 1e9;
        assertEquals(number, opened.size());
        List<Double> pages = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            long before = System.nanoTime();
            Json.bytes(opened.page(null, null, i * 60, 60));
            pages.add((System.nanoTime() - before) / 1e6);
        }
        System.out.printf(
                "gallery: %d pictures open in %.2f s; a page of 60 takes %.1f ms, 99%% %.1f ms%n",
                number, start, quantile(pages, 0.5), quantile(pages, 0.99));
    }
}
