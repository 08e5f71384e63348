package org.dit4j;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

class AppArchitectureTest {
    private static final JavaClasses APP = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("org.dit4j.cli", "org.dit4j.report", "org.dit4j.doctor", "org.dit4j.web");

    @Test
    void reportsAndChecksKnowNothingOfTheCommandLine() {
        noClasses()
                .that()
                .resideInAnyPackage("org.dit4j.report..", "org.dit4j.doctor..", "org.dit4j.web..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.dit4j.cli..", "picocli..")
                .check(APP);
    }

    @Test
    void nobodyButMainAndASecondSignalEndTheProcess() {
        noClasses()
                .that()
                .doNotHaveFullyQualifiedName("org.dit4j.cli.Main")
                .and()
                .doNotHaveFullyQualifiedName("org.dit4j.cli.Signals")
                .should()
                .callMethod(System.class, "exit", int.class)
                .orShould()
                .callMethod(Runtime.class, "halt", int.class)
                .check(APP);
    }
}
