/**
 * What {@code dit doctor} looks at: facts about the machine ({@link org.dit4j.doctor.Machine}, {@link org.dit4j.doctor.Gpus}), and checks,
 * which are functions from facts to a {@link org.dit4j.doctor.Finding}.
 */
package org.dit4j.doctor;
