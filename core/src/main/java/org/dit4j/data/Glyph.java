package org.dit4j.data;

import java.util.Locale;

/**
 * The shapes of {@link Glyphs} as signed distances: negative inside, positive outside. Each fits the circle of radius 1 around the origin;
 * x points right and y down. Only additions, multiplications, divisions and square roots of doubles decide a distance, so it is the
 * same to the last bit on every JVM.
 */
enum Glyph {
    CIRCLE {
        @Override
        double distance(double x, double y) {
            return length(x, y) - 0.9;
        }
    },
    SQUARE {
        @Override
        double distance(double x, double y) {
            return Math.max(Math.abs(x), Math.abs(y)) - 0.71;
        }
    },
    TRIANGLE {
        @Override
        double distance(double x, double y) {
            return polygon(TRIANGLE_CORNERS, x, y) - 0.06;
        }
    },
    STAR {
        @Override
        double distance(double x, double y) {
            return polygon(STAR_CORNERS, x, y) - 0.04;
        }
    },
    HEART {
        @Override
        double distance(double x, double y) {
            // the square turned by 45° with a half circle on each upper side, in units in which that square's diagonal
            // is 1
            double u = Math.abs(x) / 1.5, v = (0.88 - y) / 1.5;
            if (u + v > 1) return 1.5 * (length(u - 0.25, v - 0.75) - 0.3535533905932738);
            double fold = 0.5 * Math.max(u + v, 0);
            double nearest = Math.min(length(u, v - 1), length(u - fold, v - fold));
            return 1.5 * (u > v ? nearest : -nearest);
        }
    },
    CROSS {
        @Override
        double distance(double x, double y) {
            return polygon(CROSS_CORNERS, x, y) - 0.04;
        }
    },
    RING {
        @Override
        double distance(double x, double y) {
            return Math.abs(length(x, y) - 0.7) - 0.22;
        }
    },
    MOON {
        @Override
        double distance(double x, double y) {
            return Math.max(length(x - 0.12, y) - 0.95, 0.78 - length(x - 0.56, y));
        }
    },
    ARROW {
        @Override
        double distance(double x, double y) {
            return polygon(ARROW_CORNERS, x, y) - 0.04;
        }
    },
    BOLT {
        @Override
        double distance(double x, double y) {
            return polygon(BOLT_CORNERS, x, y) - 0.03;
        }
    };

    // corners as x, y, x, y, …; what `distance` subtracts rounds them
    private static final double[] TRIANGLE_CORNERS = {0, -0.92, 0.8, 0.5, -0.8, 0.5};
    private static final double[] STAR_CORNERS = star(0.94, 0.41);
    private static final double[] CROSS_CORNERS = {
        -0.24, -0.88, 0.24, -0.88, 0.24, -0.24, 0.88, -0.24, 0.88, 0.24, 0.24, 0.24, 0.24, 0.88, -0.24, 0.88, -0.24,
        0.24, -0.88, 0.24, -0.88, -0.24, -0.24, -0.24
    };
    private static final double[] ARROW_CORNERS = {
        -0.94, -0.25, 0.06, -0.25, 0.06, -0.74, 0.97, 0, 0.06, 0.74, 0.06, 0.25, -0.94, 0.25
    };
    private static final double[] BOLT_CORNERS = {
        0.14, -0.88, -0.62, 0.2, -0.1, 0.2, -0.28, 0.93, 0.66, -0.28, 0.12, -0.28, 0.44, -0.87
    };

    /** The signed distance of a point to the outline. */
    abstract double distance(double x, double y);

    /** The name of the class. */
    String className() {
        return name().toLowerCase(Locale.ROOT);
    }

    private static double length(double x, double y) {
        return Math.sqrt(x * x + y * y);
    }

    private static double[] star(double outer, double inner) {
        double[] corners = new double[20];
        for (int i = 0; i < 10; i++) {
            double angle = i * Math.PI / 5, radius = i % 2 == 0 ? outer : inner;
            corners[2 * i] = radius * StrictMath.sin(angle);
            corners[2 * i + 1] =
                    0.04 - radius * StrictMath.cos(angle); // lowered: a star's middle is below the circle's
        }
        return corners;
    }

    /** The distance to the nearest edge, negative where a ray crosses the outline an odd number of times. */
    private static double polygon(double[] corners, double x, double y) {
        double nearest = Double.MAX_VALUE;
        boolean inside = false;
        double x0 = corners[corners.length - 2], y0 = corners[corners.length - 1];
        for (int i = 0; i < corners.length; i += 2) {
            double x1 = corners[i], y1 = corners[i + 1];
            double edgeX = x1 - x0, edgeY = y1 - y0, fromX = x - x0, fromY = y - y0;
            double along = (fromX * edgeX + fromY * edgeY) / (edgeX * edgeX + edgeY * edgeY);
            along = Math.max(0, Math.min(1, along));
            double awayX = fromX - edgeX * along, awayY = fromY - edgeY * along;
            nearest = Math.min(nearest, awayX * awayX + awayY * awayY);
            if (y0 > y != y1 > y && x < x0 + (y - y0) / (y1 - y0) * edgeX) inside = !inside;
            x0 = x1;
            y0 = y1;
        }
        return inside ? -Math.sqrt(nearest) : Math.sqrt(nearest);
    }
}
