package org.dit4j.report;

import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;

/** Whether text can be drawn: a bare server may have no font at all. */
public final class Fonts {
    public static final Font CAPTION = new Font(Font.SANS_SERIF, Font.PLAIN, 13);

    private static final boolean AVAILABLE = draws();

    private Fonts() {}

    /** Whether this machine has fonts; where it has none, grids have no captions, and there are no charts. */
    public static boolean available() {
        return AVAILABLE;
    }

    private static boolean draws() {
        Graphics2D graphics = new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB).createGraphics();
        try {
            return graphics.getFontMetrics(CAPTION).stringWidth("x") > 0;
        } catch (RuntimeException | LinkageError | InternalError e) {
            return false; // without fontconfig or FreeType, Java fails in one of these ways
        } finally {
            graphics.dispose();
        }
    }
}
