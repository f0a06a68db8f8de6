//! The mapping files that come with the program.

/// Their names and texts, by name.
pub(super) const SHIPPED: [(&str, &str); 11] = [
    ("fxiaoke-customers", include_str!("../../../mappings/fxiaoke-customers.toml")),
    ("fxiaoke-orders", include_str!("../../../mappings/fxiaoke-orders.toml")),
    ("hubspot-contacts", include_str!("../../../mappings/hubspot-contacts.toml")),
    ("hubspot-deals", include_str!("../../../mappings/hubspot-deals.toml")),
    ("salesforce-leads", include_str!("../../../mappings/salesforce-leads.toml")),
    ("salesforce-opportunities", include_str!("../../../mappings/salesforce-opportunities.toml")),
    ("segment", include_str!("../../../mappings/segment.toml")),
    ("shopify-orders", include_str!("../../../mappings/shopify-orders.toml")),
    ("stripe-charges", include_str!("../../../mappings/stripe-charges.toml")),
    ("zoho-crm-contacts", include_str!("../../../mappings/zoho-crm-contacts.toml")),
    ("zoho-crm-deals", include_str!("../../../mappings/zoho-crm-deals.toml")),
];
