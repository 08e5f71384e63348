package org.dit4j.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dit4j.run.Cadence;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Converters of numbers that refuse what is out of range, in flags and recipes alike. */
final class Ranges {
    private static final int MOST_CLASSES = 100_000_000;
    /** Networks compute in float32, which ends at 3.4e38. */
    private static final double MOST = 1e30;

    private Ranges() {}

    /** A whole number, 1 or more. */
    static final class Count implements ITypeConverter<Integer> {
        @Override
        public Integer convert(String text) {
            return whole(text, 1, Integer.MAX_VALUE, "a whole number of at least 1")
                    .intValue();
        }
    }

    /** A whole number, 0 or more. */
    static final class CountOrNone implements ITypeConverter<Integer> {
        @Override
        public Integer convert(String text) {
            return whole(text, 0, Integer.MAX_VALUE, "a whole number of at least 0")
                    .intValue();
        }
    }

    /** A number of classes; a row of the label table is for each, and one for none. */
    static final class Classes implements ITypeConverter<Integer> {
        @Override
        public Integer convert(String text) {
            return whole(text, 0, MOST_CLASSES, "a whole number from 0 to 100000000")
                    .intValue();
        }
    }

    /** A size in bytes, {@code 500MB} or {@code 1.5GB}, in powers of ten as Hugging Face's libraries count. */
    static final class Bytes implements ITypeConverter<Long> {
        private static final String RANGE = "a size such as 500MB or 2GB";
        private static final Pattern SIZE = Pattern.compile("([0-9]+(?:\\.[0-9]+)?)(K|M|G|T)B");

        @Override
        public Long convert(String text) {
            Matcher size = SIZE.matcher(text.strip().toUpperCase(Locale.ROOT));
            if (!size.matches()) throw refuse(text, RANGE);
            double bytes = Double.parseDouble(size.group(1)) * Math.pow(1000, 1 + "KMGT".indexOf(size.group(2)));
            if (bytes < 1 || bytes > 1e18) throw refuse(text, RANGE);
            return (long) bytes;
        }
    }

    /** So many steps, 0 for never, or {@code auto}. */
    record Every(int steps) {
        static final Every AUTO = new Every(Cadence.AUTO);

        @Override
        public String toString() {
            return equals(AUTO) ? "auto" : Integer.toString(steps);
        }

        static final class Converter implements ITypeConverter<Every> {
            @Override
            public Every convert(String text) {
                if (text.equalsIgnoreCase("auto")) return AUTO;
                return new Every(whole(text, 0, Integer.MAX_VALUE, "a whole number of at least 0, or auto")
                        .intValue());
            }
        }
    }

    /** A finite number above 0. */
    static final class Positive implements ITypeConverter<Double> {
        @Override
        public Double convert(String text) {
            double value = real(text, "a number above 0");
            if (value <= 0) throw refuse(text, "a number above 0");
            return value;
        }
    }

    /** A finite number, 0 or more. */
    static final class NotNegative implements ITypeConverter<Double> {
        @Override
        public Double convert(String text) {
            double value = real(text, "a number of at least 0");
            if (value < 0) throw refuse(text, "a number of at least 0");
            return value;
        }
    }

    /** A number from 0 to 1. */
    static final class Share implements ITypeConverter<Double> {
        @Override
        public Double convert(String text) {
            double value = real(text, "a number from 0 to 1");
            if (value < 0 || value > 1) throw refuse(text, "a number from 0 to 1");
            return value;
        }
    }

    /** Two numbers, {@code LOW,HIGH}; the ends belong to it. */
    record Interval(double low, double high) {
        static final class Converter implements ITypeConverter<Interval> {
            @Override
            public Interval convert(String text) {
                String[] ends = text.split(",", -1);
                String wanted = "an interval LOW,HIGH, as in 200,800";
                if (ends.length != 2) throw refuse(text, wanted);
                double low = real(ends[0], wanted), high = real(ends[1], wanted);
                if (low > high) throw refuse(text, wanted);
                return new Interval(low, high);
            }
        }
    }

    /** A number from 0 to below 1. */
    static final class Fraction implements ITypeConverter<Double> {
        @Override
        public Double convert(String text) {
            double value = real(text, "a number from 0 to below 1");
            if (value < 0 || value >= 1) throw refuse(text, "a number from 0 to below 1");
            return value;
        }
    }

    private static Long whole(String text, long least, long most, String wanted) {
        try {
            long value = Long.parseLong(text.replace("_", ""));
            if (value >= least && value <= most) return value;
        } catch (NumberFormatException e) {
            // refused below, with the numbers that are out of range
        }
        throw refuse(text, wanted);
    }

    private static double real(String text, String wanted) {
        try {
            double value = Double.parseDouble(text);
            if (Math.abs(value) <= MOST) return value;
            if (Double.isFinite(value)) throw refuse(text, wanted + " and at most 1e30");
        } catch (NumberFormatException e) {
            // refused below, with what is not finite
        }
        throw refuse(text, wanted);
    }

    private static TypeConversionException refuse(String text, String wanted) {
        return new TypeConversionException("\"" + text + "\" is not " + wanted);
    }
}
