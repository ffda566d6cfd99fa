// The domain's XML: what it holds, that hostile strings stay strings, and that libvirt's parser takes it.
// SPDX-License-Identifier: MIT
#include "domain/xml.hpp"

#include <gtest/gtest.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <pugixml.hpp>

namespace pv::domain {
namespace {

GuestSpec guest() {
    GuestSpec spec;
    spec.name = "paravane-test";
    spec.kernel = "/boot/vmlinuz";
    spec.command_line = "console=ttyS0 a=\"<&>\" b='x'";
    spec.disks = {
        Disk{.kind = DiskKind::nvme, .backing = "/x/a,b\"c.img"},
        Disk{.kind = DiskKind::virtio_blk, .backing = "/x/<d>.img", .packed = true, .block_size = 4096},
        Disk{.kind = DiskKind::virtio_blk, .backing = std::uint64_t{1}, .nbd = "/x/nbd"}};
    return spec;
}

Wiring wiring() {
    Wiring result;
    result.emulator = "/usr/bin/qemu-system-x86_64";
    result.console = "/x/console";
    result.monitor = "/x/qmp";
    result.log = "/x/trace";
    result.log_items = "plugin,guest_errors";
    result.trace_events = "/x/events";
    result.plugin = "/x/plugin.so";
    result.plugin_options = {"probe=markers"};
    return result;
}

TEST(DomainXml, holds_what_a_run_needs) {
    const std::string text = domain_xml(guest(), wiring()).value();
    pugi::xml_document document;
    ASSERT_TRUE(document.load_string(text.c_str()));
    const pugi::xml_node domain = document.child("domain");
    EXPECT_STREQ(domain.child("os").child("cmdline").text().get(), "console=ttyS0 a=\"<&>\" b='x'");
    EXPECT_STREQ(domain.child("memoryBacking").child("source").attribute("type").value(), "memfd");
    EXPECT_STREQ(domain.child("memoryBacking").child("access").attribute("mode").value(), "shared");
    for (const char* event : {"on_poweroff", "on_reboot", "on_crash"}) {
        EXPECT_STREQ(domain.child(event).text().get(), "destroy") << event;
    }
    const pugi::xml_node disk = domain.child("devices").child("disk");
    EXPECT_STREQ(disk.child("source").attribute("file").value(), "/x/<d>.img");
    EXPECT_STREQ(disk.child("address").attribute("slot").value(), "0x11");
    EXPECT_STREQ(disk.attribute("model").value(), "virtio-non-transitional");
    EXPECT_STREQ(disk.child("driver").attribute("packed").value(), "on");
    EXPECT_FALSE(disk.next_sibling("disk").child("driver").attribute("packed"));
    EXPECT_STREQ(disk.child("driver").attribute("error_policy").value(), "report");
    EXPECT_STREQ(disk.next_sibling("disk").child("source").child("host").attribute("socket").value(),
                 "/x/nbd");
    EXPECT_STREQ(domain.child("devices").child("serial").attribute("type").value(), "unix");
    std::string arguments;
    for (const pugi::xml_node argument : domain.child("qemu:commandline")) {
        arguments += std::string(argument.attribute("value").value()) + "\n";
    }
    EXPECT_NE(arguments.find("\"addr\":\"10\""), std::string::npos);
    EXPECT_NE(arguments.find(R"("filename":"/x/a,b\"c.img")"), std::string::npos);
    EXPECT_NE(arguments.find("-plugin\nfile=/x/plugin.so,probe=markers\n"), std::string::npos);
    EXPECT_NE(arguments.find("-trace\nevents=/x/events\n"), std::string::npos);
}

TEST(DomainXml, puts_every_device_behind_the_iommu_that_was_asked_for) {
    GuestSpec spec = guest();
    const auto parse = [&](pugi::xml_document& document) {
        ASSERT_TRUE(document.load_string(domain_xml(spec, wiring()).value().c_str()));
    };
    pugi::xml_document none;
    parse(none);
    EXPECT_FALSE(none.child("domain").child("devices").child("iommu"));
    EXPECT_FALSE(none.child("domain").child("devices").child("disk").child("driver").attribute("iommu"));

    spec.iommu = Iommu::intel;
    pugi::xml_document intel;
    parse(intel);
    const pugi::xml_node vtd = intel.child("domain").child("devices").child("iommu");
    EXPECT_STREQ(vtd.attribute("model").value(), "intel");
    EXPECT_STREQ(vtd.child("driver").attribute("intremap").value(), "on");
    EXPECT_STREQ(intel.child("domain").child("features").child("ioapic").attribute("driver").value(), "qemu");

    spec.iommu = Iommu::virtio;
    pugi::xml_document virtio;
    parse(virtio);
    const pugi::xml_node unit = virtio.child("domain").child("devices").child("iommu");
    EXPECT_STREQ(unit.attribute("model").value(), "virtio");
    EXPECT_STREQ(unit.child("address").attribute("slot").value(), "0x1e");
    for (const pugi::xml_document* document : {&intel, &virtio}) {
        for (const pugi::xml_node disk : document->child("domain").child("devices").children("disk")) {
            EXPECT_STREQ(disk.child("driver").attribute("iommu").value(), "on");
        }
    }
}

TEST(DomainXml, puts_what_is_removable_behind_ports) {
    GuestSpec spec = guest();
    spec.networks = {Network{}, Network{.removable = true}};
    EXPECT_TRUE(domain_xml(spec, wiring()).value().contains("ICH9-LPC")) << "a card is enough";
    spec.disks[0].removable = spec.disks[2].removable = true;
    spec.iommu = Iommu::intel;
    pugi::xml_document document;
    ASSERT_TRUE(document.load_string(domain_xml(spec, wiring()).value().c_str()));
    std::string arguments;
    for (const pugi::xml_node argument : document.child("domain").child("qemu:commandline")) {
        arguments += std::string(argument.attribute("value").value()) + "\n";
    }
    for (
        const char* text :
        {R"({"addr":"10","bus":"pcie.0","chassis":16,"driver":"pcie-root-port","id":"disk0-port","slot":16})",
         R"("id":"disk2-port")", R"("bus":"disk0-port")", R"("bus":"disk2-port")", R"("bus":"net1-port")",
         R"("driver":"virtio-blk-pci-non-transitional")",
         "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"}) {
        EXPECT_NE(arguments.find(text), std::string::npos) << text;
    }
    const pugi::xml_node disk = document.child("domain").child("devices").child("disk");
    EXPECT_TRUE(disk) << "libvirt looks after the one that stays";
    EXPECT_FALSE(disk.next_sibling("disk"));
    // Buses are counted in the order of the ports' slots: net1, disk0, disk2.
    EXPECT_EQ(network_bdf(spec, 0), 0x60U);
    EXPECT_EQ(network_bdf(spec, 1), 0x100U);
    EXPECT_EQ(disk_bdf(spec, 0), 0x200U);
    EXPECT_EQ(disk_bdf(spec, 1), 0x88U);
    EXPECT_EQ(disk_bdf(spec, 2), 0x300U);
    spec.disks[0].removable = spec.disks[2].removable = spec.networks[1].removable = false;
    EXPECT_FALSE(domain_xml(spec, wiring()).value().contains("ICH9-LPC"));
}

TEST(DomainXml, refuses_what_cannot_be_written) {
    GuestSpec control = guest();
    control.command_line = "a\x01";
    EXPECT_FALSE(domain_xml(control, wiring()).has_value());
    GuestSpec bytes = guest();
    bytes.kernel = "/boot/\xff";
    EXPECT_FALSE(domain_xml(bytes, wiring()).has_value());
    Wiring comma = wiring();
    comma.plugin = "/x/a,b.so";
    EXPECT_FALSE(domain_xml(guest(), comma).has_value());
    GuestSpec sized = guest();
    sized.disks = {Disk{}};
    EXPECT_FALSE(domain_xml(sized, wiring()).has_value());
}

TEST(DomainXml, runs_as_its_user_and_unlabelled_where_a_daemon_would_choose) {
    Wiring wired = wiring();
    wired.run_as = std::pair(1000U, 100U);
    wired.security_models = {"apparmor", "dac"};
    pugi::xml_document document;
    ASSERT_TRUE(document.load_string(domain_xml(guest(), wired).value().c_str()));
    std::vector<std::string> labels;
    for (const pugi::xml_node label : document.child("domain").children("seclabel")) {
        labels.push_back(std::string(label.attribute("model").value()) + " " +
                         label.attribute("type").value() + " " + label.child_value("label"));
    }
    EXPECT_EQ(labels, (std::vector<std::string>{"apparmor none ", "dac static +1000:+100"}));
    EXPECT_FALSE(domain_xml(guest(), wiring()).value().contains("seclabel"));
}

TEST(DomainXml, gives_a_guest_its_networks) {
    GuestSpec spec = guest();
    spec.networks = {Network{.forwards = {{true, 5007, 7}, {false, 5009, 9}}},
                     Network{.kind = NetworkKind::listen, .socket = "/x/a,b"},
                     Network{.kind = NetworkKind::connect, .socket = "/x/c"}};
    const auto arguments = [&] {
        pugi::xml_document document;
        document.load_string(domain_xml(spec, wiring()).value().c_str());
        std::string text;
        for (const pugi::xml_node argument : document.child("domain").child("qemu:commandline")) {
            text += std::string(argument.attribute("value").value()) + "\n";
        }
        return text;
    };
    const std::string plain = arguments();
    const auto holds = [&](std::string_view part) { return plain.find(part) != std::string::npos; };
    EXPECT_TRUE(holds(R"([{"str":"tcp:127.0.0.1:5007-:7"},{"str":"udp:127.0.0.1:5009-:9"}])")) << plain;
    EXPECT_TRUE(holds(R"("path":"/x/a,b")")) << plain;
    EXPECT_TRUE(holds(R"("addr":"c")") && holds(R"("addr":"e")")) << plain;
    EXPECT_TRUE(holds("52:54:00:70:76:11") && holds("52:54:00:70:76:82")) << plain;
    EXPECT_FALSE(holds("iommu_platform")) << plain;
    spec.iommu = Iommu::intel;
    const std::string behind = arguments();
    std::size_t count = 0;
    for (std::size_t at = behind.find("\"iommu_platform\":true"); at != std::string::npos;
         at = behind.find("\"iommu_platform\":true", at + 1)) {
        ++count;
    }
    EXPECT_EQ(count, spec.networks.size()) << behind;
}

// libvirt's own mock parses with libvirt's own parser; it knows no qemu: name space, which is left out here.
class DomainXmlParsed : public ::testing::TestWithParam<Iommu> {};

TEST_P(DomainXmlParsed, libvirt_parses_it) {
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    const virConnectPtr connection = virConnectOpen("test:///default");
    ASSERT_NE(connection, nullptr);
    pugi::xml_document document;
    GuestSpec spec = guest();
    spec.iommu = GetParam();
    document.load_string(domain_xml(spec, wiring()).value().c_str());
    pugi::xml_node domain = document.child("domain");
    domain.remove_child("qemu:commandline");
    domain.attribute("type").set_value("test");
    const auto accepted = [&] {
        std::ostringstream text;
        document.save(text);
        const virDomainPtr defined =
            virDomainDefineXMLFlags(connection, text.str().c_str(), VIR_DOMAIN_DEFINE_VALIDATE);
        if (defined != nullptr) {
            virDomainFree(defined);
        }
        return defined != nullptr;
    };
    const virErrorPtr problem = accepted() ? nullptr : virGetLastError();
    EXPECT_EQ(problem, nullptr) << (problem == nullptr ? "" : problem->message);
    domain.append_child("nonsense");
    EXPECT_FALSE(accepted());
    virConnectClose(connection);
}

INSTANTIATE_TEST_SUITE_P(EveryIommu, DomainXmlParsed,
                         ::testing::Values(Iommu::none, Iommu::intel, Iommu::virtio),
                         [](const auto& tested) { return std::string(name(tested.param)); });

}  // namespace
}  // namespace pv::domain
