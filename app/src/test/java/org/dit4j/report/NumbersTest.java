package org.dit4j.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NumbersTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "0        | 0",
                "0.5 | 0.5",
                "0.012345 | 0.0123",
                "12.345 | 12.35",
                "1234.5 | 1,234",
                "NaN | -",
                "0.000025 | 2.5e-5",
                "-0.0001 | -1e-4",
                "1e9 | 1,000,000,000"
            })
    void realsHaveAboutFourDigits(double value, String text) {
        assertEquals(text, Numbers.real(value));
    }

    @ParameterizedTest
    @CsvSource({"1,1.000", "0.99284,0.9928", "1.04,1.040", "0.012345,0.01235", "123.456,123.5", "NaN,-"})
    void fourDigitsAreFour(double value, String text) {
        assertEquals(text, Numbers.fourDigits(value));
    }

    @ParameterizedTest
    @CsvSource({"0,0 B", "999,999 B", "1000,1.0 kB", "9949,9.9 kB", "9950,10 kB", "999499,999 kB", "999500,1.0 MB"})
    void bytesHaveTwoOrThreeDigits(long bytes, String text) {
        assertEquals(text, Numbers.bytes(bytes));
    }

    @ParameterizedTest
    @CsvSource({"59,now", "60,1 min ago", "7199,119 min ago", "7200,2 h ago", "172799,47 h ago", "172800,2 d ago"})
    void agesAreRounded(long seconds, String text) {
        assertEquals(text, Numbers.ago(Duration.ofSeconds(seconds)));
    }
}
