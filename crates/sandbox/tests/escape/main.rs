//! Attacks from inside the sandbox and on its set-up. Each must be refused, with Landlock and without, for root and for
//! an ordinary user.
//!
//! | attack | test |
//! |---|---|
//! | A1 paths that leave the workspace, siblings with its name as a prefix | `files::secrets_cannot_be_read`, `files::nothing_outside_can_be_written` |
//! | A2 links to a secret file | `files::secrets_cannot_be_read`, `files::nothing_outside_can_be_written` |
//! | A3 a link swapped in, 10 000 times | `files::a_link_swapped_in_during_set_up_leads_nowhere` |
//! | A4 configuration and hooks that run later outside | `files::what_runs_outside_later_cannot_be_planted`, `files::a_repository_cannot_be_planted_where_there_is_none`, `pool::what_changes_while_a_sandbox_waits_is_seen` |
//! | A5 a parent of the workspace swapped for a link during set-up | `files::a_parent_swapped_for_a_link_during_set_up_leads_nowhere` |
//! | A6 an environment poisoned for the next program | `processes::an_environment_cannot_be_poisoned_for_the_next_program` |
//! | A7 commands so long that rules about their text give up | `processes::long_commands_meet_the_same_kernel` |
//! | A8 sockets that know no proxy, raw IP, UDP, ICMP | `network::everything_that_leaves_goes_through_the_device`, `network::without_network_nothing_is_reached` |
//! | A9 a tunnel through names | `network::a_tunnel_through_names_ends_at_the_device` |
//! | A14 keys in environments, memory, core dumps | `processes::only_the_given_environment_is_there`, `processes::other_processes_and_init_are_invisible_and_untouchable`, `processes::init_keeps_nothing_of_the_launcher` |
//! | A16 local sockets | `network::other_sockets_do_not_exist_even_with_network`, `files::secrets_cannot_be_read` |
//! | A17 system calls, inherited descriptors | `processes::dangerous_system_calls_are_refused`, `processes::no_descriptor_is_inherited` |
//! | A18 fork bombs, memory, disk, output, endless loops | `limits::*`, `neighbours::a_neighbour_goes_on_beside_an_attack_on_the_machine` |
//! | each other | `neighbours::sandboxes_do_not_see_each_other`, `network::a_space_is_shared_by_its_own_programs_only` |
//!
//! Programs that attack are shell scripts, or this executable itself: shown inside as `masque` and started with the
//! name of an attack, see `attack`.

#![expect(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "attacks are raw system calls; tests read and start things"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of it is test code, and attacks tell by printing"
)]

mod attack;
mod files;
mod limits;
mod neighbours;
mod network;
mod pool;
mod processes;
mod start;
mod support;
mod user;
