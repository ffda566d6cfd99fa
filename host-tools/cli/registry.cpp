// The list of subcommands, in the order the help shows them.
// SPDX-License-Identifier: MIT
#include <array>

#include "cli/subcommand.hpp"

namespace pv::cli {

std::span<const Subcommand* const> subcommands() {
    static const std::array all = {
        &run_subcommand(),          //
        &check_subcommand(),        //
        &record_subcommand(),       //
        &analyze_subcommand(),      //
        &query_subcommand(),        //
        &report_subcommand(),       //
        &image_build_subcommand(),  //
        &image_list_subcommand(),   //
        &image_show_subcommand(),   //
        &domain_xml_subcommand(),   //
        &doctor_subcommand(),
    };
    return all;
}

}  // namespace pv::cli
