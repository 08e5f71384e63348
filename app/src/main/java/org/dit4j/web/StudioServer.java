package org.dit4j.web;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.javalin.Javalin;
import io.javalin.config.JavalinConfig;
import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import io.javalin.http.Cookie;
import io.javalin.http.Handler;
import io.javalin.http.HttpResponseException;
import io.javalin.http.SameSite;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.BindException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.checkpoint.Weights;
import org.dit4j.doctor.Machine;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.dit4j.io.Sha256;
import org.dit4j.report.ErrorText;
import org.dit4j.report.Software;
import org.dit4j.report.Words;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.ServerConnector;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The studio over HTTP: who may ask, how much, and which route answers. */
final class StudioServer implements AutoCloseable {
    private static final Logger LOGGER = LoggerFactory.getLogger(StudioServer.class);
    private static final int MOST_BODY = 1 << 20, MOST_PNG = 8 << 20, MOST_HEADER = 16 << 10, MOST_PAGE = 200;
    private static final int BODIES_AT_ONCE = 64, IDLE_MILLIS = 10_000;
    private static final long BODY_NANOS = TimeUnit.SECONDS.toNanos(10);
    private static final String PROBLEM = "application/problem+json", JSON = "application/json";
    private static final String POLICY =
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
                    + " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    private static final String IMAGE = "[0-9a-f]{64}", STARTED = "dit.started", CHECKED = "dit.checked";

    private final StudioConfig config;
    private final Access access;
    private final Models models;
    private final Gallery gallery;
    private final JobQueue queue;
    private final EventHub hub;
    private final RunWatcher runs;
    private final Metrics metrics;
    private final Page page;
    private final Semaphore bodies = new Semaphore(BODIES_AT_ONCE);
    private final Javalin javalin;
    private volatile boolean ready;

    StudioServer(
            StudioConfig config,
            Access access,
            Models models,
            Gallery gallery,
            JobQueue queue,
            EventHub hub,
            RunWatcher runs,
            Metrics metrics)
            throws IOException {
        this.config = config;
        this.access = access;
        this.models = models;
        this.gallery = gallery;
        this.queue = queue;
        this.hub = hub;
        this.runs = runs;
        this.metrics = metrics;
        page = new Page();
        javalin = Javalin.create(this::configure);
    }

    private void configure(JavalinConfig javalinConfig) {
        javalinConfig.startup.showJavalinBanner = false;
        javalinConfig.startup.showOldJavalinVersionWarning = false;
        javalinConfig.startup.startupWatcherEnabled = false;
        javalinConfig.http.prefer405over404 = true;
        javalinConfig.jetty.modifyHttpConfiguration(http -> {
            http.setRequestHeaderSize(MOST_HEADER);
            http.setSendServerVersion(false);
            http.setUriCompliance(UriCompliance.DEFAULT);
        });
        javalinConfig.jetty.addConnector((server, http) -> {
            ServerConnector connector = new ServerConnector(server, new HttpConnectionFactory(http));
            connector.setHost(config.bind());
            connector.setPort(config.port());
            connector.setIdleTimeout(IDLE_MILLIS); // who says nothing for so long, or takes nothing, is cut off
            return connector;
        });
        RoutesConfig routes = javalinConfig.routes;
        routes.before(this::check);
        routes.exception(Problem.class, this::answer);
        routes.exception(
                HttpResponseException.class,
                (e, context) -> answer(new Problem(e.getStatus(), said(e, context)), context));
        routes.exception(FormatException.class, (e, context) -> answer(new Problem(422, ErrorText.of(e)), context));
        routes.exception(Exception.class, (e, context) -> {
            LOGGER.error("{} {}", context.req().getMethod(), context.req().getRequestURI(), e);
            answer(new Problem(500, "this should not happen; the log of dit serve says more"), context);
        });
        routes.after(this::count);
        open(routes);
        generations(routes);
        pictures(routes);
        knowledge(routes);
    }

    private static String said(HttpResponseException e, Context context) {
        return switch (e.getStatus()) {
            case 404 -> "there is nothing at this path; /openapi.json lists what there is";
            case 405 ->
                "this path does not know " + shown(context.req().getMethod()) + "; /openapi.json lists what it knows";
            default -> e.getMessage();
        };
    }

    private static String shown(String method) {
        return method.matches("[A-Z]{1,10}") ? method : "this method";
    }

    // ---- who may ask

    private void check(Context context) {
        context.attribute(STARTED, System.nanoTime());
        context.header("Content-Security-Policy", POLICY);
        context.header("X-Content-Type-Options", "nosniff");
        context.header("Referrer-Policy", "no-referrer");
        context.header("Cross-Origin-Resource-Policy", "same-origin");
        context.header("Cross-Origin-Opener-Policy", "same-origin");
        context.header("Cache-Control", "no-store");
        access.checkOrigin(context);
        String path = context.req().getRequestURI();
        boolean free =
                isPage(path) || List.of("/healthz", "/readyz", "/v1/session").contains(path);
        if (!free) access.checkToken(context);
        context.attribute(CHECKED, true);
        if (!context.req().getMethod().equals("POST")) return;
        String type = String.valueOf(context.req().getContentType())
                .replaceFirst(";.*", "")
                .strip();
        String wanted = path.equals("/v1/png-info") ? "image/png" : JSON;
        if (!type.equalsIgnoreCase(wanted))
            throw new Problem(
                    415, "the body is " + (type.length() > 80 ? "something else" : type) + "; send " + wanted);
    }

    private static boolean isPage(String path) {
        return path.equals("/") || path.length() > 1 && Page.FILES.contains(path.substring(1));
    }

    private void answer(Problem problem, Context context) {
        context.status(problem.status).contentType(PROBLEM);
        if (problem.retryAfter > 0) context.header("Retry-After", Integer.toString(problem.retryAfter));
        if (problem.status == 401) context.header("WWW-Authenticate", "Bearer");
        context.result(problem.toJson());
    }

    private void count(Context context) {
        Long started = context.attribute(STARTED);
        String route = context.endpoints().lastHttpEndpoint() == null
                ? "none"
                : context.endpoints().lastHttpEndpoint().path;
        String status = Integer.toString(context.statusCode());
        metrics.count("dit_http_requests_total", "Requests by route and status", "route", route, "status", status);
        if (started != null)
            metrics.add(
                    "dit_http_seconds_total",
                    "Time that requests took, by route",
                    (System.nanoTime() - started) / 1e9,
                    "route",
                    route);
    }

    // ---- bodies

    /** Reads a body that is no longer than it may be, and comes in time. */
    private byte[] body(Context context, int most) throws IOException {
        if (context.req().getContentLengthLong() > most) throw tooLong(context, most);
        if (!bodies.tryAcquire()) throw Problem.later(429, "too many requests are being read", 2);
        try {
            long began = System.nanoTime();
            InputStream in = context.req().getInputStream();
            byte[] bytes = new byte[Math.min(most + 1, 1 << 13)];
            int length = 0;
            for (int read; (read = in.read(bytes, length, bytes.length - length)) >= 0; ) {
                length += read;
                if (length > most) throw tooLong(context, most);
                if (length == bytes.length) bytes = Arrays.copyOf(bytes, Math.min(most + 1, 2 * length));
                if (System.nanoTime() - began > BODY_NANOS) {
                    context.header("Connection", "close");
                    throw new Problem(408, "the body did not come within 10 s");
                }
            }
            return Arrays.copyOf(bytes, length);
        } catch (IOException e) {
            context.header("Connection", "close");
            throw new Problem(408, "the body did not come: " + e.getMessage());
        } finally {
            bodies.release();
        }
    }

    private static Problem tooLong(Context context, int most) {
        context.header("Connection", "close");
        return new Problem(413, "the body is longer than " + Machine.bytes(most));
    }

    private static void json(Context context, JsonNode body) {
        context.contentType(JSON).result(Json.bytes(body));
    }

    private static ObjectNode wrapped(String name, List<ObjectNode> nodes) {
        ObjectNode json = Json.object();
        json.set(name, Json.nodes(nodes));
        return json;
    }

    private static int number(Context context, String name, int otherwise, int most) {
        String given = context.queryParam(name);
        if (given == null) return otherwise;
        if (!given.matches("\\d{1,9}") || Integer.parseInt(given) > most)
            throw new Problem(400, name + " is a whole number from 0 to " + most);
        return Integer.parseInt(given);
    }

    // ---- routes

    private void open(RoutesConfig routes) {
        routes.get("/", context -> page.send(context, "index.html"));
        for (String file : Page.FILES) routes.get("/" + file, context -> page.send(context, file));
        routes.get("/openapi.json", page::sendOpenApi);
        routes.get("/healthz", context -> json(context, Json.object().put("status", "alive")));
        routes.get("/readyz", context -> {
            if (!queue.isAccepting()) throw Problem.later(503, "the studio is stopping", 30);
            if (!ready) throw Problem.later(503, "the first model is being opened", 1);
            json(context, Json.object().put("status", "ready"));
        });
        routes.get(
                "/metrics",
                context -> context.contentType("text/plain;version=0.0.4;charset=utf-8")
                        .result(metrics.text()));
        routes.post("/v1/session", context -> {
            Fields fields = new Fields(Json.ofClient(body(context, MOST_BODY)), "", List.of("token"));
            if (access.asksForToken()) {
                if (!access.isToken(fields.text("token", ""))) throw new Problem(401, "this is not the token");
                Cookie cookie = new Cookie(Access.COOKIE, access.begin());
                cookie.setHttpOnly(true);
                cookie.setSameSite(SameSite.STRICT);
                cookie.setPath("/");
                context.cookie(cookie);
            }
            context.status(204);
        });
    }

    private void generations(RoutesConfig routes) {
        routes.post("/v1/generations", context -> {
            byte[] body = body(context, MOST_BODY);
            ObjectNode json = Json.ofClient(body);
            Generation generation = Generation.of(json, "", List.of("draft", "replace"), models);
            Fields flags = new Fields(json, "", flagsAnd(Generation.FIELDS));
            submit(context, body, null, List.of(generation), flags.flag("draft"), flags.flag("replace"));
        });
        routes.post("/v1/grids", context -> {
            byte[] body = body(context, MOST_BODY);
            Grid grid = Grid.of(Json.ofClient(body), models);
            submit(context, body, grid.axes(), grid.cells(), false, false);
        });
        routes.get("/v1/generations", context -> json(context, wrapped("generations", queue.list())));
        routes.get("/v1/generations/{id}", context -> json(context, queue.toJson(job(context))));
        routes.delete("/v1/generations/{id}", context -> {
            queue.cancel(job(context));
            context.status(204);
        });
        routes.get("/v1/generations/{id}/events", context -> hub.watch(context, job(context).topic));
        routes.get("/v1/generations/{id}/previews", context -> {
            List<ObjectNode> sheets = new ArrayList<>();
            List<Previews.Sheet> kept = job(context).previews.kept();
            for (int i = 0; i < kept.size(); i++)
                sheets.add(Previews.json(kept.get(i)).put("number", i));
            json(context, wrapped("previews", sheets));
        });
        routes.get("/v1/generations/{id}/previews/{batch}/{step}", context -> {
            String batch = context.pathParam("batch"),
                    step = context.pathParam("step").replaceFirst("\\.jpg$", "");
            for (Previews.Sheet sheet : job(context).previews.kept())
                if (batch.equals(Integer.toString(sheet.batch())) && step.equals(Integer.toString(sheet.step()))) {
                    context.contentType("image/jpeg").result(sheet.jpeg());
                    return;
                }
            throw new Problem(404, "this step has no preview, or it is not kept any more");
        });
        routes.get("/v1/generations/{id}/sheet.png", context -> {
            Job job = job(context);
            if (job.order.axes() == null) throw new Problem(404, "this job is no grid");
            List<BufferedImage> cells = new ArrayList<>();
            for (String id : job.images()) cells.add(Images.read(new ByteArrayInputStream(gallery.bytes(id)), id));
            context.contentType("image/png").result(Images.encodePng(Grid.sheet(job.order.axes(), cells), Map.of()));
        });
    }

    private static List<String> flagsAnd(List<String> fields) {
        List<String> all = new ArrayList<>(fields);
        all.addAll(List.of("draft", "replace"));
        return all;
    }

    private Job job(Context context) {
        return queue.get(context.pathParam("id"));
    }

    private void submit(
            Context context, byte[] body, Job.Axes axes, List<Generation> cells, boolean draft, boolean replace) {
        String key = context.req().getHeader("Idempotency-Key");
        if (key != null && !key.matches("[\\x21-\\x7e]{1,128}"))
            throw new Problem(400, "Idempotency-Key is 1 to 128 printable characters without spaces");
        Job.Order order = Job.Order.of(Access.client(context), draft, key, Sha256.hex(body), axes, cells);
        Job job = queue.submit(order, replace).job();
        context.status(202).header("Location", "/v1/generations/" + job.order.id());
        json(context, queue.toJson(job));
    }

    private void pictures(RoutesConfig routes) {
        routes.get(
                "/v1/images",
                context -> json(
                        context,
                        gallery.page(
                                context.queryParam("class"),
                                context.queryParam("model"),
                                number(context, "from", 0, 100_000_000),
                                number(context, "most", 60, MOST_PAGE))));
        routes.get("/v1/images/{file}", context -> {
            String file = context.pathParam("file");
            String id = image(file.replaceFirst("\\.png$", ""));
            if (!file.endsWith(".png")) {
                json(context, gallery.get(id).toJson());
                return;
            }
            byte[] png = gallery.bytes(id);
            context.header("Cache-Control", "private, max-age=31536000, immutable"); // its name is its content's
            context.contentType("image/png").result(png);
        });
        Handler delete = context -> {
            gallery.delete(image(context.pathParam("file").replaceFirst("\\.png$", "")));
            context.status(204);
        };
        routes.delete("/v1/images/{file}", delete);
        routes.post("/v1/images/{file}/restore", context -> {
            body(context, MOST_BODY);
            json(
                    context,
                    gallery.restore(image(context.pathParam("file").replaceFirst("\\.png$", "")))
                            .toJson());
        });
        routes.post("/v1/png-info", context -> {
            Map<String, String> text =
                    Images.readPngText(new ByteArrayInputStream(body(context, MOST_PNG)), "the picture");
            ObjectNode recipe = PictureRecipe.of(text);
            if (recipe == null)
                throw Problem.field(
                        "", "this PNG has no recipe: it was not drawn by dit4j, or lost its text on the way");
            ObjectNode json = Json.object();
            json.set("recipe", recipe);
            ObjectNode texts = json.putObject("text");
            text.forEach((name, value) -> {
                if (!name.equals(PictureRecipe.KEY)) texts.put(name, value);
            });
            json(context, json);
        });
    }

    private static String image(String id) {
        if (!id.matches(IMAGE)) throw new Problem(404, "there is no such picture");
        return id;
    }

    private void knowledge(RoutesConfig routes) {
        routes.get("/v1/models", context -> {
            models.refresh();
            List<ObjectNode> all = new ArrayList<>();
            for (Models.Entry entry : models.all())
                all.add(Json.object()
                        .put("id", entry.id())
                        .put("run", entry.run())
                        .put("checkpoint", entry.checkpoint()));
            json(context, wrapped("models", all));
        });
        routes.get("/v1/models/{id}", context -> {
            Weights weights = weights(context);
            models.entry(found(context.pathParam("id")), "");
            try (Models.Lease lease = models.lease(context.pathParam("id"), weights, "")) {
                json(context, describe(lease.model()));
            }
        });
        routes.get("/v1/classes", context -> {
            String typed = context.queryParam("q"), model = context.queryParam("model");
            if (typed != null && typed.length() > 100) throw new Problem(400, "q has more than 100 letters");
            String id = found(model == null ? models.first() : model);
            try (Models.Lease lease = models.lease(id, Weights.EMA, "")) {
                var names = lease.model().pipeline().classNames();
                ObjectNode json = Json.object().put("total", names.numClasses());
                ArrayNode found = json.putArray("classes");
                for (int label :
                        ClassSearch.search(names, typed == null ? "" : typed, number(context, "most", 20, 1000)))
                    found.addObject().put("label", label).put("name", names.name(label));
                json(context, json);
            }
        });
        routes.get("/v1/samplers", context -> {
            List<ObjectNode> all = new ArrayList<>();
            for (Sampler sampler : Sampler.values())
                all.add(Json.object().put("name", Words.choice(sampler)).put("eta", sampler == Sampler.DDIM));
            json(context, wrapped("samplers", all));
        });
        routes.get("/v1/about", context -> json(context, about()));
        routes.get("/v1/runs", context -> json(context, wrapped("runs", runs.list())));
        routes.get("/v1/runs/{id}/metrics", context -> json(context, runs.metrics(context.pathParam("id"))));
        routes.get("/v1/runs/{id}/events", context -> hub.watch(context, runs.topic(context.pathParam("id"))));
        routes.get("/v1/runs/{id}/samples", context -> {
            ObjectNode json = Json.object();
            ArrayNode steps = json.putArray("steps");
            runs.samples(context.pathParam("id")).forEach(steps::add);
            json(context, json);
        });
        routes.get("/v1/runs/{id}/samples/{step}", context -> {
            String step = context.pathParam("step").replaceFirst("\\.png$", "");
            if (!step.matches("\\d{1,12}")) throw new Problem(404, "there is no such grid");
            context.contentType("image/png").result(runs.sample(context.pathParam("id"), Long.parseLong(step)));
        });
    }

    private Weights weights(Context context) {
        String given = context.queryParam("weights");
        for (Weights weights : Weights.values())
            if (given == null || Words.choice(weights).equals(given)) return given == null ? Weights.EMA : weights;
        throw new Problem(400, "weights are ema or model");
    }

    private String found(String id) {
        if (models.all().stream().noneMatch(entry -> entry.id().equals(id)))
            throw new Problem(404, "there is no such model; /v1/models lists those there are");
        return id;
    }

    private static ObjectNode describe(Model model) {
        DiTPipeline pipeline = model.pipeline();
        return Json.object()
                .put("id", model.entry().id())
                .put("weights", Words.choice(model.weights()))
                .put("digest", model.digest())
                .put("text", Words.model(pipeline.config()))
                .put("trained", pipeline.weights())
                .put("diffusion", pipeline.diffusion().text())
                .put("classes", pipeline.config().numClasses())
                .put("named", !pipeline.classNames().names().isEmpty())
                .put("guidable", pipeline.config().hasNullLabel())
                .put("width", pipeline.downsampling() * pipeline.config().inputWidth())
                .put("height", pipeline.downsampling() * pipeline.config().inputHeight())
                .put("timesteps", pipeline.diffusion().numTimesteps())
                .put("draws_pictures", pipeline.drawsPictures())
                .put("previews", model.preview().isPresent());
    }

    private ObjectNode about() {
        Machine machine = Machine.read();
        ObjectNode json = Json.object()
                .put("software", Software.version())
                .put("java", Runtime.version().toString())
                .put("system", machine.system() + " on " + machine.architecture())
                .put("cores", machine.cores())
                .put("memory", machine.totalMemory())
                .put("pictures", gallery.size());
        json.set("devices", Json.strings(config.devices()));
        return json;
    }

    /** @throws IllegalArgumentException if the port is taken, or may not be */
    void start() {
        try {
            javalin.start();
        } catch (RuntimeException e) {
            for (Throwable cause = e; cause != null; cause = cause.getCause())
                if (cause instanceof BindException
                        || String.valueOf(cause.getMessage()).contains("Failed to bind"))
                    throw new IllegalArgumentException("port " + config.port() + " of " + config.bind()
                            + " is taken, or may not be used; another: --port N, or 0 for any free one");
            throw e;
        }
    }

    /** All methods and paths that it answers. */
    Set<String> routes() {
        return javalin.unsafe.internalRouter.allHttpHandlers().stream()
                .filter(handler -> handler.endpoint.method.isHttpMethod())
                .map(handler -> handler.endpoint.method + " " + handler.endpoint.path)
                .collect(Collectors.toCollection(TreeSet::new));
    }

    void setReady() {
        ready = true;
    }

    int port() {
        return javalin.port();
    }

    @Override
    public void close() {
        javalin.stop();
    }

    static String link(StudioConfig config, int port, Access access) {
        String host = config.bind().contains(":") ? "[" + config.bind() + "]" : config.bind();
        if (List.of("0.0.0.0", "[::]").contains(host)) host = "localhost";
        return "http://" + host + ":" + port + "/"
                + (access.asksForToken()
                        ? "#token=" + java.net.URLEncoder.encode(access.token(), StandardCharsets.UTF_8)
                        : "");
    }
}
