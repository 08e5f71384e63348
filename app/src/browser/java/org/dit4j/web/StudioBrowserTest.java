package org.dit4j.web;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.deque.html.axecore.playwright.AxeBuilder;
import com.deque.html.axecore.results.Rule;
import com.fasterxml.jackson.databind.JsonNode;
import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Download;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.Response;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.dit4j.cli.TinyRun;
import org.dit4j.io.Images;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The page as people use it: in Debian's chromium, or what {@code -Ddit.chromium} names. Nothing it does may reach another host. */
class StudioBrowserTest {
    private static final List<String> VIEWS =
            List.of("create", "gallery", "compare", "grids", "training", "queue", "about");
    private static final List<String> WCAG = List.of("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa");

    @TempDir
    private static Path folder;

    private static Playwright playwright;
    private static Browser browser;
    private static TestStudio studio;

    private final List<String> complaints = new ArrayList<>();
    private BrowserContext context;
    private Page page;

    @BeforeAll
    static void start() throws IOException {
        Path chromium = Path.of(System.getProperty("dit.chromium", "/usr/bin/chromium"));
        assumeTrue(
                Files.isExecutable(chromium),
                chromium + " is not there: apt-get install chromium, or -Ddit.chromium=PATH");
        playwright = Playwright.create(
                new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
        browser = playwright
                .chromium()
                .launch(new BrowserType.LaunchOptions()
                        .setExecutablePath(chromium)
                        .setArgs(List.of("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")));
        TinyRun.train(folder.resolve("results"));
        studio = new TestStudio(folder.resolve("gallery"), folder.resolve("results"));
        studio.awaitReady();
    }

    @AfterAll
    static void stop() {
        if (browser != null) browser.close();
        if (playwright != null) playwright.close();
        if (studio != null) studio.close();
    }

    @BeforeEach
    void open() {
        for (JsonNode job : studio.get("/v1/generations").json().path("generations"))
            if (List.of("queued", "running").contains(job.path("state").asText()))
                studio.delete("/v1/generations/" + job.path("id").asText());
        context = browser.newContext(new Browser.NewContextOptions().setViewportSize(1280, 900));
        page = newPage(context);
    }

    private Page newPage(BrowserContext in) {
        Page fresh = in.newPage();
        fresh.setDefaultTimeout(30_000);
        fresh.onConsoleMessage(message -> {
            if (List.of("error", "warning").contains(message.type())) complaints.add(message.text());
        });
        fresh.onPageError(complaints::add);
        fresh.onRequest(request -> {
            String url = request.url();
            if (!url.startsWith("http://127.0.0.1:") && !url.startsWith("blob:")) complaints.add("a request to " + url);
        });
        return fresh;
    }

    @AfterEach
    void nothingIsComplainedOf() {
        if (context == null) return;
        context.close();
        complaints.removeIf(text -> text.contains("status of 4")); // answers that a test asks for
        assertEquals(List.of(), complaints);
    }

    private void go(String view) {
        page.navigate(studio.uri("/#/" + view).toString());
        page.waitForSelector("main[data-view=" + view.replaceFirst("/.*", "") + "]");
    }

    private Locator button(String name) {
        return page.getByRole(
                AriaRole.BUTTON, new Page.GetByRoleOptions().setName(name).setExact(true));
    }

    private Locator field(String label) {
        return page.getByLabel(label, new Page.GetByLabelOptions().setExact(true));
    }

    private void choose(String typed) {
        field("Classes").fill(typed);
        page.waitForSelector(".options li");
        field("Classes").press("Enter");
    }

    private void steps(int steps) {
        field("Steps").fill(Integer.toString(steps));
        field("Sampler").selectOption("ddim");
    }

    private Locator drawn() {
        return page.locator(".tiles figure img");
    }

    private void draw(String typed, int steps) {
        go("create");
        choose(typed);
        steps(steps);
        drawAgain();
        drawn().first().waitFor();
    }

    /** Presses Draw and waits for that job, whatever the page shows of the one before. */
    private void drawAgain() {
        Response accepted = page.waitForResponse(
                response -> response.request().method().equals("POST")
                        && response.url().endsWith("/v1/generations"),
                () -> button("Draw").click());
        studio.finished(accepted.headerValue("location").replaceFirst(".*/", ""));
        assertThat(page.getByText("done in")).isVisible();
    }

    private String newest() {
        return studio.get("/v1/images?most=1").json().at("/images/0/id").asText();
    }

    @Test
    void aClassIsFoundByAPartOfItsNameAndDrawn() {
        draw("ri", 3);
        assertThat(drawn()).hasCount(1);
        assertTrue(drawn().first().getAttribute("alt").matches("(ring|triangle|.*ri.*), seed \\d+, picture 1"));
    }

    @Test
    void picturesFormStepByStep() {
        go("create");
        choose("star");
        steps(900);
        button("Draw").click();
        page.waitForSelector("canvas[aria-label*='as it looks at step']");
        assertThat(page.locator("#progress-text")).containsText("of 900");
        button("Cancel").click();
        assertThat(page.locator("#progress-text")).hasText("cancelled");
    }

    @Test
    void afterwardsOneLooksBackThroughTheSteps() {
        draw("moon", 60);
        Locator slider = field("Step that is shown");
        assertThat(slider).isVisible();
        slider.focus();
        slider.press("Home");
        assertThat(page.getByText("of 60", new Page.GetByTextOptions().setExact(false))
                        .last())
                .isVisible();
        page.waitForSelector(".tiles canvas");
        slider.press("End");
        drawn().first().waitFor();
    }

    @Test
    void severalClassesAtOnce() {
        go("create");
        choose("star");
        choose("moon");
        field("Of each").fill("2");
        steps(3);
        button("Draw").click();
        assertThat(drawn()).hasCount(4);
    }

    @Test
    void aKeptSeedGivesTheSamePictureAndANewOneAnother() {
        draw("star", 4);
        String first = newest();
        drawAgain();
        assertNotEquals(first, newest());
        String second = newest();
        field("keep the seed").check();
        drawAgain();
        assertEquals(second, newest());
    }

    @Test
    void usingARecipeAgainGivesTheSameBytes() throws IOException {
        draw("star", 5);
        String id = newest();
        byte[] before = studio.get("/v1/images/" + id + ".png").bytes();
        go("gallery");
        page.locator("main .tiles button").first().click();
        button("Use these again").click();
        page.waitForSelector("main[data-view=create]");
        Files.delete(folder.resolve("gallery").resolve(id + ".png"));
        drawAgain();
        assertEquals(id, newest());
        assertArrayEquals(before, studio.get("/v1/images/" + id + ".png").bytes());
    }

    @Test
    void aRecipeIsVariedBySeed() {
        draw("star", 3);
        go("gallery");
        page.locator("main .tiles button").first().click();
        button("Vary the seed").click();
        page.waitForSelector("main[data-view=create]");
        assertThat(field("Of each")).hasValue("4");
        button("Draw").click();
        assertThat(drawn()).hasCount(4);
    }

    @Test
    void theGalleryIsFiltered() {
        draw("heart", 3);
        go("gallery");
        page.locator("main .tiles img").first().waitFor();
        field("Class").fill("heart");
        page.waitForTimeout(500);
        for (Locator image : page.locator("main .tiles img").all())
            assertTrue(image.getAttribute("alt").startsWith("heart"), image.getAttribute("alt"));
        field("Class").fill("unicorn");
        assertThat(page.getByText("No picture fits", new Page.GetByTextOptions().setExact(false)))
                .isVisible();
    }

    @Test
    void whatIsDeletedComesBackByUndo() {
        draw("star", 3);
        String id = newest();
        go("gallery");
        page.locator("main .tiles button").first().click();
        button("Delete").click();
        assertThat(page.getByText("The picture is deleted.")).isVisible();
        assertEquals(404, studio.get("/v1/images/" + id + ".png").status());
        button("Undo").click();
        page.waitForTimeout(300);
        assertEquals(200, studio.get("/v1/images/" + id + ".png").status());
    }

    @Test
    void aPictureIsSaved() {
        draw("moon", 3);
        drawn().first().click();
        Download download = page.waitForDownload(
                () -> page.getByRole(AriaRole.LINK, new Page.GetByRoleOptions().setName("Download"))
                        .click());
        assertTrue(download.suggestedFilename().matches("moon-\\d+\\.png"), download.suggestedFilename());
    }

    @Test
    void picturesAreCompared() {
        draw("star", 3);
        draw("moon", 4);
        go("gallery");
        for (int i = 0; i < 2; i++) {
            page.locator("main .tiles button").nth(i).click();
            button("Compare").click();
            button("Close").click();
        }
        go("compare");
        assertThat(page.getByRole(AriaRole.HEADING, new Page.GetByRoleOptions().setName("What differs")))
                .isVisible();
        assertThat(page.locator("tbody").first()).containsText("class");
        button("Choose others").click();
        assertThat(page.getByText("Choose two to four pictures", new Page.GetByTextOptions().setExact(false)))
                .isVisible();
    }

    @Test
    void aGridFillsAndIsOneSheet() {
        go("grids");
        field("Class").fill("star");
        page.waitForSelector(".options li");
        field("Class").press("Enter");
        field("Steps").fill("3");
        field("Values across").fill("1, 2, 3");
        field("Values down").fill("1, 4");
        button("Draw the grid").click();
        assertThat(page.locator(".cell img")).hasCount(6);
        Download download =
                page.waitForDownload(() -> page.getByText("Download the sheet").click());
        assertEquals("grid.png", download.suggestedFilename());
        page.locator(".cell button").first().click();
        assertThat(page.getByRole(AriaRole.DIALOG)).containsText("seed");
    }

    @Test
    void aGridThatCannotBeSaysWhy() {
        go("grids");
        field("Values across").fill("");
        button("Draw the grid").click();
        assertThat(page.locator("[role=alert]")).containsText("values");
    }

    @Test
    void aRunShowsItsCurvesAndTheNumbersBehindThem() {
        go("training");
        assertThat(page.getByRole(
                        AriaRole.HEADING,
                        new Page.GetByRoleOptions().setName("Loss").setExact(true)))
                .isVisible();
        Locator loss = page.locator("canvas[aria-label^='Loss']");
        assertTrue(loss.getAttribute("aria-label").contains("at step 3"), loss.getAttribute("aria-label"));
        page.getByText("as a table").first().click();
        assertThat(page.locator("section[aria-label=Loss] tbody tr")).hasCount(3);
    }

    @Test
    void samplesOfARunLieAlongTime() {
        go("training");
        Locator slider = field("Step of the grid of samples");
        slider.focus();
        slider.press("Home");
        assertThat(page.getByAltText("Samples after step", new Page.GetByAltTextOptions().setExact(false)))
                .isVisible();
    }

    @Test
    void aRunOpensInCreate() {
        go("training");
        button("Open this checkpoint in Create").click();
        page.waitForSelector("main[data-view=create]");
        assertThat(field("Model")).hasValue("000-DiT-16x1-4");
    }

    @Test
    void whatIsLoggedMeanwhileIsShown() throws IOException {
        go("training");
        Path metrics = folder.resolve("results/000-DiT-16x1-4/metrics.jsonl");
        String before = Files.readString(metrics);
        try {
            page.waitForTimeout(1200);
            List<String> lines = before.lines().toList();
            Files.writeString(metrics, before + lines.get(2).replaceFirst("\"step\":3", "\"step\":4") + "\n");
            page.waitForSelector("canvas[aria-label*='at step 4']", new Page.WaitForSelectorOptions().setTimeout(5000));
        } finally {
            Files.writeString(metrics, before);
        }
    }

    private void longJob() {
        studio.post("/v1/generations", "{\"classes\": [1], \"count\": 16, \"steps\": 1000}");
    }

    @Test
    void theQueueShowsAndCancels() {
        longJob();
        go("queue");
        Locator cancel = page.locator("tbody button").first();
        assertThat(page.locator("tbody tr").first()).containsText("16 pictures");
        cancel.click();
        assertThat(page.locator("tbody tr").first()).containsText("cancelled");
    }

    @Test
    void aFullQueueSaysWhenToComeBack() {
        for (int i = 0; i < 9; i++) longJob();
        go("create");
        steps(3);
        button("Draw").click();
        assertThat(page.locator("form [role=alert]")).containsText("try again in");
    }

    @Test
    void aboutTellsOfTheModelAndTheMachine() {
        go("about");
        assertThat(page.getByText("SHA-256")).isVisible();
        assertThat(page.locator("section[aria-label='This machine']")).containsText("dit4j");
    }

    private void drop(byte[] png) {
        page.evaluate(
                "encoded => { const bytes = Uint8Array.from(atob(encoded), letter => letter.charCodeAt(0));"
                        + " const data = new DataTransfer(); data.items.add(new File([bytes], 'a.png', {type: 'image/png'}));"
                        + " document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})); }",
                Base64.getEncoder().encodeToString(png));
    }

    @Test
    void aDroppedPngShowsItsRecipe() {
        draw("star", 6);
        byte[] png = studio.get("/v1/images/" + newest() + ".png").bytes();
        go("about");
        drop(png);
        assertThat(page.getByRole(AriaRole.DIALOG)).containsText("ddim");
        button("Use these again").click();
        page.waitForSelector("main[data-view=create]");
        assertThat(field("Steps")).hasValue("6");
    }

    @Test
    void aPngWithoutRecipeIsSaid() throws IOException {
        go("gallery");
        drop(Images.encodePng(new BufferedImage(4, 4, BufferedImage.TYPE_INT_RGB), Map.of()));
        assertThat(page.locator("#toast")).containsText("no recipe");
    }

    @Test
    void byKeyboardAloneFromTheStartToASavedPicture() {
        go("create");
        page.locator("body").press("Tab"); // the link that skips
        for (int i = 0;
                i < 40
                        && !Boolean.TRUE.equals(
                                page.evaluate("document.activeElement.getAttribute('role') === 'combobox'"));
                i++) page.keyboard().press("Tab");
        page.keyboard().type("star");
        page.waitForSelector(".options li");
        page.keyboard().press("ArrowDown");
        page.keyboard().press("Enter");
        for (int i = 0;
                i < 40 && !"Steps".equals(page.evaluate("document.activeElement.labels?.[0]?.textContent"));
                i++) page.keyboard().press("Tab");
        page.keyboard().press("Control+a");
        page.keyboard().type("3");
        page.keyboard().press("Control+Enter");
        drawn().first().waitFor();
        for (int i = 0;
                i < 60
                        && !Boolean.TRUE.equals(page.evaluate(
                                "document.activeElement.getAttribute('aria-label')?.startsWith('Open ') === true"));
                i++) page.keyboard().press("Tab");
        page.keyboard().press("Enter");
        assertThat(page.getByRole(AriaRole.DIALOG)).isVisible();
        for (int i = 0; i < 10 && !"Download".equals(page.evaluate("document.activeElement.textContent")); i++)
            page.keyboard().press("Tab");
        Download download = page.waitForDownload(() -> page.keyboard().press("Enter"));
        assertTrue(download.suggestedFilename().startsWith("star-"));
        page.keyboard().press("Escape");
        assertThat(page.getByRole(AriaRole.DIALOG)).isHidden();
    }

    @Test
    void oneKeyCancelsEverythingAndDrawsWhatIsSet() {
        go("create");
        choose("star");
        steps(1000);
        button("Draw").click();
        page.waitForSelector("canvas[aria-label*='as it looks at step']");
        steps(3);
        page.keyboard().press("Control+Shift+Enter");
        assertThat(page.getByText("done in")).isVisible();
        JsonNode jobs = studio.get("/v1/generations").json().path("generations");
        assertEquals("done", jobs.get(0).path("state").asText());
        assertEquals(
                "cancelled",
                studio.finished(jobs.get(1).path("id").asText()).path("state").asText());
    }

    @Test
    void thePreviewStaysInACornerWhileOneLooksElsewhereAndGoesOnInCreate() {
        go("create");
        choose("star");
        steps(1000);
        button("Draw").click();
        page.waitForSelector("canvas[aria-label*='as it looks at step']");
        page.getByRole(AriaRole.LINK, new Page.GetByRoleOptions().setName("Gallery"))
                .click();
        assertThat(page.locator("#dock")).isVisible();
        assertThat(page.locator("#dock-text")).containsText("of 1000");
        page.locator("#dock a").click();
        page.waitForSelector("main[data-view=create]");
        assertThat(page.locator("#progress-text")).containsText("of 1000");
        button("Cancel").click();
        assertThat(page.locator("#progress-text")).hasText("cancelled");
    }

    @Test
    void aServerThatIsRestartedUnderAnOpenPageServesItOn() throws IOException {
        TestStudio first = new TestStudio(folder.resolve("gallery2"), folder.resolve("results"));
        int port = first.studio.port();
        page.navigate(first.uri("/#/create").toString());
        page.waitForSelector("main[data-view=create]");
        first.close();
        steps(3);
        button("Draw").click();
        assertThat(page.locator("form [role=alert]")).containsText("does not answer");
        StudioConfig config = TestStudio.config(folder.resolve("gallery2"), 8, folder.resolve("results"));
        StudioConfig same = new StudioConfig(
                config.paths(),
                config.open(),
                config.devices(),
                config.previewVae(),
                config.gallery(),
                config.bind(),
                port,
                config.hosts(),
                config.tokenFile(),
                8,
                config.grace());
        try (TestStudio second = new TestStudio(same)) {
            button("Draw").click();
            assertThat(page.getByText("done in")).isVisible();
        }
        complaints.removeIf(text ->
                text.contains("ERR_CONNECTION") || text.contains("ERR_EMPTY") || text.contains("ERR_INCOMPLETE"));
    }

    @Test
    void aSlowNetworkSeesThePicturesToo() {
        var session = context.newCDPSession(page);
        session.send("Network.enable");
        com.google.gson.JsonObject slow = new com.google.gson.JsonObject();
        slow.addProperty("offline", false);
        slow.addProperty("latency", 300);
        slow.addProperty("downloadThroughput", 50_000);
        slow.addProperty("uploadThroughput", 50_000);
        session.send("Network.emulateNetworkConditions", slow);
        draw("star", 20);
        assertThat(drawn()).hasCount(1);
    }

    @Test
    void twoTabsShareTheQueue() {
        draw("star", 3);
        Page other = newPage(context);
        other.navigate(studio.uri("/#/queue").toString());
        assertThat(other.locator("tbody tr").first()).containsText("done");
        longJob();
        assertThat(other.locator("tbody tr").first()).containsText("16 pictures");
        go("queue");
        other.locator("tbody button").first().click();
        assertThat(page.locator("tbody tr").first()).containsText("cancelled");
    }

    @Test
    void theLinkWithTheTokenLetsIn() throws IOException {
        Path token = Files.writeString(folder.resolve("token"), "0123456789abcdef0123456789abcdef");
        Files.setPosixFilePermissions(token, PosixFilePermissions.fromString("rw-------"));
        StudioConfig config = TestStudio.config(folder.resolve("gallery3"), 8, folder.resolve("results"));
        StudioConfig closed = new StudioConfig(
                config.paths(),
                config.open(),
                config.devices(),
                config.previewVae(),
                config.gallery(),
                config.bind(),
                0,
                List.of(),
                Optional.of(token),
                8,
                Duration.ZERO);
        try (TestStudio with = new TestStudio(closed)) {
            page.navigate(with.uri("/#/queue").toString());
            assertThat(page.locator("#toast")).containsText("asks for a token");
            page.navigate("about:blank");
            page.navigate(with.studio.link());
            page.waitForSelector("form[aria-label='What to draw']");
            assertTrue(page.url().endsWith("/#/create"), "the token does not stay in the address");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {"Steps|0|1 to 1000", "Steps|many|steps", "Seed|99999999999999999999|", "Of each|65|"})
    void badInputIsSaidBesideTheForm(String label, String value, String says) {
        go("create");
        field(label).fill(value);
        button("Draw").click();
        if (says == null) assertTrue((Boolean) field(label).evaluate("field => !field.validity.valid"));
        else assertThat(page.locator("form [role=alert]")).containsText(says);
    }

    @Test
    void withoutAModelThePageSaysWhatToDo() throws IOException {
        Path empty = Files.createDirectories(folder.resolve("empty"));
        try (TestStudio none = new TestStudio(folder.resolve("gallery4"), empty)) {
            for (String view : VIEWS) {
                page.navigate(none.uri("/#/" + view).toString());
                page.waitForSelector("main[data-view=" + view + "]");
            }
            page.navigate(none.uri("/#/create").toString());
            assertThat(page.getByText("There is no model yet", new Page.GetByTextOptions().setExact(false)))
                    .isVisible();
        }
    }

    @Test
    void slidersDrawWhileTheyMove() {
        go("create");
        choose("star");
        steps(10);
        field("draw while sliders move").check();
        field("Guidance").focus();
        for (int i = 0; i < 5; i++) field("Guidance").press("ArrowRight");
        page.waitForSelector("canvas[aria-label*='of 8'], .tiles figure img");
        drawn().first().waitFor(); // all steps, once the hand rests
        boolean drafts = false;
        for (JsonNode job : studio.get("/v1/generations").json().path("generations"))
            drafts |= job.path("draft").asBoolean();
        assertTrue(drafts);
    }

    @ParameterizedTest
    @ValueSource(strings = {"LIGHT", "DARK"})
    void nobodyIsShutOut(ColorScheme scheme) {
        draw("star", 3);
        page.emulateMedia(new Page.EmulateMediaOptions().setColorScheme(scheme));
        for (String view : VIEWS) {
            go(view);
            page.waitForTimeout(400);
            List<String> found = new ArrayList<>();
            for (Rule rule : new AxeBuilder(page).withTags(WCAG).analyze().getViolations())
                rule.getNodes()
                        .forEach(node ->
                                found.add(rule.getId() + " " + node.getTarget() + " " + node.getFailureSummary()));
            assertEquals(List.of(), found, view + " " + scheme);
        }
        go("gallery");
        page.locator("main .tiles button").first().click();
        assertEquals(
                0, new AxeBuilder(page).withTags(WCAG).analyze().getViolations().size(), "the dialog");
    }

    @ParameterizedTest
    @ValueSource(ints = {320, 640})
    void nothingIsWiderThanTheScreen(int width) {
        draw("star", 3);
        page.setViewportSize(width, 640); // 640 is 1280 at 200%
        for (String view : VIEWS) {
            go(view);
            page.waitForTimeout(300);
            int scroll = (Integer) page.evaluate("document.documentElement.scrollWidth");
            assertTrue(scroll <= width, view + " is " + scroll + " wide on " + width);
        }
    }
}
